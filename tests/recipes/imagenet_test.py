import json

import numpy as np
import pytest

from recipes import experiment, imagenet
from tests.recipes.datasets.image_folder_test import write

NETWORKS = ("alexnet", "googlenet", "inception_v3", "resnet18", "resnet50")


@pytest.mark.parametrize("network", NETWORKS)
def test_settings_are_those_of_the_paper(network):
    config = experiment.load_config(f"imagenet_{network}")
    published = {"resnet18": 0.00335, "resnet50": 0.00015, "googlenet": 0.00045, "inception_v3": 0.0015}
    assert config["eta"] == published.get(network)
    assert config["network"] == network
    assert config["image_size"] == (299 if network == "inception_v3" else 224)
    assert (config["weight_bits"], config["activation_bits"]) == ([1, 2, 3, 4], [2, 3, 4])
    assert (config["learning_rate"], config["selection_learning_rate"]) == (0.1, 0.01)
    assert (config["search_epochs"], config["search_decay_epochs"]) == (25, 10)
    assert (config["epochs"], config["decay_epochs"]) == (50, 15)
    final = config["runs"]["mixed_final"]
    assert (final["epochs"], final["decay_epochs"]) == (95, 30)


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    """Three methods with their runs, over few small images of two classes; and where the results will be."""
    rng, folder = np.random.default_rng(0), tmp_path_factory.mktemp("imagenet")
    for split, count in (("train", 4), ("val", 2)):
        for label, name in enumerate(("dark", "light")):
            for index in range(count):
                pixels = rng.integers(0, 120, (40, 48, 3)) + 120 * label
                write(folder / split / name / f"{index}.png", pixels)
    config = experiment.load_config("imagenet_alexnet")
    changes = [f"folder={folder}", "image_size=67", "width=0.0625", "batch_size=4", "search_epochs=3", "epochs=2"]
    changes += ["search_decay_epochs=1", "decay_epochs=1", "learning_rate=0.01", "eta=0.1"]
    folders, names = (folder / "work", folder / "results"), ["search", "mixed", "uniform"]
    return [*experiment.plan(imagenet.METHODS, config, names=names, settings=changes, folders=folders)], folders[1]


def test_one_step_decays_kernels_and_logits_as_published(plan):
    """By 1e-4 inside of the momentum: v = 0.9 v + gradient + 1e-4 w, w = w - rate v, here with a gradient of zero."""
    task = imagenet.Task(plan[0][0][1])
    model = task.searchable()
    task.config = {**task.config, "learning_rate": 0.3}
    task.compile(model, 3, 1, selection=0.5)
    assert model(np.zeros((1, 67, 67, 3)), training=False) is not None and not np.any(model.losses)
    deviations = [v for v in model.variables if v.path.endswith("/deviation")]
    assert deviations and all(float(v) == 1 for v in deviations)
    found = [[np.asarray(v, np.float64) for v in model.trainable_variables]]
    for _ in range(2):
        model.optimizer.apply([np.zeros(v.shape, np.float32) for v in found[0]], model.trainable_variables)
        found.append([np.asarray(v, np.float64) for v in model.trainable_variables])
    for variable, start, first, second in zip(model.trainable_variables, *found, strict=True):
        rate = 0.5 if variable.path.endswith("/logits") else 0.3
        expected = start - rate * 1e-4 * start
        np.testing.assert_allclose(first, expected, rtol=1e-6, err_msg=variable.path)
        expected = expected - rate * (0.9 * 1e-4 * start + 1e-4 * expected)
        np.testing.assert_allclose(second, expected, rtol=1e-6, err_msg=variable.path)


@pytest.mark.slow
def test_from_a_folder_to_networks_of_searched_bits(plan):
    plan, results = plan
    for method, run in plan:
        experiment.execute(method, run)
    records = {path.name.split("-")[0]: json.loads(path.read_text()) for path in results.glob("*.json")}
    assert set(records) == {"search", "mixed", "uniform"}
    assert len(records["search"]["bits"]) == 6
    assert 1.4 < records["search"]["equivalent_bits"] <= 4
    assert records["mixed"]["equivalent_bits"] == records["search"]["equivalent_bits"]
    for record in records.values():
        assert 0 <= record["accuracy"] <= record["top_5_accuracy"] == 1
        assert np.isfinite(record["history"]["loss"]).all()
    assert len(records["search"]["history"]["expected_cost"]) == 3
    assert len(records["mixed"]["history"]["val_top_5"]) == 2
