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


def test_from_a_folder_to_networks_of_searched_bits(tmp_path):
    rng = np.random.default_rng(0)
    for split, count in (("train", 4), ("val", 2)):
        for label, name in enumerate(("dark", "light")):
            for index in range(count):
                pixels = rng.integers(0, 120, (40, 48, 3)) + 120 * label
                write(tmp_path / split / name / f"{index}.png", pixels)
    config = experiment.load_config("imagenet_alexnet")
    changes = [f"folder={tmp_path}", "image_size=67", "width=0.0625", "batch_size=4", "search_epochs=3", "epochs=2"]
    changes += ["search_decay_epochs=1", "decay_epochs=1", "learning_rate=0.01", "eta=0.1"]
    folders = tmp_path / "work", tmp_path / "results"
    for method, run in experiment.plan(
        imagenet.METHODS, config, names=["search", "mixed", "uniform"], settings=changes, folders=folders
    ):
        experiment.execute(method, run)
    records = {path.name.split("-")[0]: json.loads(path.read_text()) for path in folders[1].glob("*.json")}
    assert set(records) == {"search", "mixed", "uniform"}
    assert len(records["search"]["bits"]) == 6
    assert 1.4 < records["search"]["equivalent_bits"] <= 4
    assert records["mixed"]["equivalent_bits"] == records["search"]["equivalent_bits"]
    for record in records.values():
        assert 0 <= record["accuracy"] <= record["top_5_accuracy"] == 1
        assert np.isfinite(record["history"]["loss"]).all()
    assert len(records["search"]["history"]["expected_cost"]) == 3
    assert len(records["mixed"]["history"]["val_top_5"]) == 2
