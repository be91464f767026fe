import json

import numpy as np
import pytest

from recipes import bit_search, experiment
from recipes.datasets import cifar10


@pytest.mark.slow
def test_methods_share_weights_bits_and_searches(tmp_path, monkeypatch):
    labels = np.arange(160) % 10
    rng = np.random.default_rng(0)
    images = rng.normal(128, 40, (160, 32, 32, 3)) + 10 * labels[:, None, None, None]
    data = np.clip(images, 0, 255).astype(np.uint8), labels
    monkeypatch.setattr(cifar10, "load_cifar10", lambda: (data, data))
    config = experiment.load_config("edmips") | {
        "width": 0.125,
        "num_train": 64,
        "float_num_train": 64,
        "batch_size": 16,
        "float_epochs": 1,
        "search_epochs": 2,
        "finetune_epochs": 1,
        "runs": {
            "search": {"method": "search"},
            "budget": {"method": "discretized"},
            "alternating": {"method": "mixed", "selection_share": 0.5, "distillation_weight": 1.0, "freeze_above": 0.9},
            "found": {"method": "retrained", "assignment": "budget"},
            "uniform": {"method": "uniform", "uniform_bits": [3, 2]},
        },
    }
    folders = tmp_path / "work", tmp_path / "results"

    def run_all(**arguments):
        for method, run in experiment.plan(bit_search.METHODS, config, folders=folders, **arguments):
            experiment.execute(method, run)

    run_all()
    records = {path.stem.split("-")[0]: json.loads(path.read_text()) for path in folders[1].glob("*.json")}
    assert records["found"]["bits"] == records["budget"]["bits"]
    assert records["found"]["bitops"] == records["budget"]["bitops"]
    assert records["budget"]["equivalent_bits"] <= 2
    assert records["uniform"]["equivalent_bits"] == pytest.approx(6**0.5)
    assert list(records["search"]["evolution"]) == ["0", "1", "2"]
    assert records["search"]["evolution"]["2"] == records["search"]["probabilities"]
    first = records["search"]["evolution"]["0"]["stage1_conv1"]
    assert first == [pytest.approx([0.25] * 4), pytest.approx([1 / 3] * 3)]
    assert len(records["search"]["history"]["expected_cost"]) == 2
    # Records and model of a search that was complete are made again from its backup.
    for path in (folders[0] / "results" / "searched-search-seed0.keras", folders[1] / "budget-seed0.json"):
        path.unlink()
    run_all(names=["budget"])
    assert json.loads((folders[1] / "budget-seed0.json").read_text())["bits"] == records["budget"]["bits"]
    (folders[1] / "search-seed0.json").unlink()
    run_all(names=["search"])
    again = json.loads((folders[1] / "search-seed0.json").read_text())
    assert again["history"] == records["search"]["history"] and again["evolution"] == records["search"]["evolution"]
    weights = sorted(path.name for path in (tmp_path / "work").glob("*.keras"))
    assert len(weights) == 1 and weights[0].startswith("float-width=0.125-float_num_train=64")
