import json

import numpy as np

from recipes import width_tables


def record(accuracy, weight_bits, seed=0, *, method=None, arguments=None, width=1.0, target=1000.0, **others):
    return {
        "method": method or f"W{weight_bits}",
        "accuracy": accuracy,
        "seed": seed,
        "weight_bits": weight_bits,
        "depthwise_bits": others.get("depthwise_bits"),
        "width": width,
        "size_bits": 1.01 * target,
        "target_bits": target,
        "magnitude_variance": others.get("variance"),
        "config": {"network": "vgg11", "network_arguments": arguments or {}},
    }


def test_rows_are_sorted_by_size_and_precision_and_the_best_is_marked():
    records = {
        "W1-seed0": record(0.70, 1, width=2.0),
        "W1-seed1": record(0.72, 1, 1, width=2.0),
        "W8-seed0": record(0.60, 8),
        "W1D4-seed0": record(0.5, 1, method="W1D4", depthwise_bits=4),
        "W8-small-seed0": record(0.4, 8, method="W8-small", target=500.0),
    }
    header, rows = width_tables.by_size(records)
    assert [row[1] for row in rows] == ["W8", "W8", "W1 D4", "W1"]
    assert rows[0] == ["vgg11", "W8", "1", "1", "+1.0%", "0", "40.00", "**40.00**"]
    assert rows[3] == ["vgg11", "W1", "2", "1", "+1.0%", "0, 1", "70.00, 72.00", "**71.00**"]
    assert rows[1][-1] == "60.00" and len(header) == len(rows[0])


def test_runs_of_other_settings_have_rows_of_their_own():
    records = {"W1-seed0": record(0.7, 1), "W1-epochs=1-batch_size=2-seed0": record(0.1, 1)}
    _, rows = width_tables.by_size(records)
    assert [(row[0], row[-1]) for row in rows] == [("vgg11", "**70.00**"), ("vgg11 epochs=1-batch_size=2", "**10.00**")]


def test_changes_are_those_of_equal_seeds_and_widths():
    arguments = {"variant": "c", "fan_in": [4, 3]}
    records = {}
    for seed, accuracies in enumerate([(0.6, 0.5, 0.58), (0.62, 0.5, 0.6), (0.7, 0.6, None)]):
        for (name, bits, width), accuracy in zip(
            (("W4", 4, 0.5), ("W1", 1, 0.5), ("W1-grown", 1, 1.0)), accuracies, strict=True
        ):
            if accuracy is not None:
                found = {"method": name, "width": width, "arguments": arguments, "variance": {"a": 1e-6, "b": 3e-6}}
                records[f"{name}-seed{seed}"] = record(accuracy, bits, seed, **found)
                records[f"{name}-epochs=1-seed{seed}"] = record(0.1, bits, seed, **found)
    _, (row, other) = width_tables.changes(records)
    network, depthwise, width, seeds, high, quantized, grown, both, variance = row
    assert other[0] == "vgg11 c 4x3x3 epochs=1" and other[4:6] == ["+10.00 ± 0.00", "+0.00 ± 0.00"]
    assert (network, depthwise, width, seeds) == ("vgg11 c 4x3x3", "as the others", "0.5", "0, 1")
    deviation = np.std([-10, -12], ddof=1)
    assert high == "+61.00 ± 1.41"
    assert quantized == f"-11.00 ± {deviation:.2f}"
    assert grown == f"+9.00 ± {np.std([8, 10], ddof=1):.2f}"
    assert both == "-2.00 ± 0.00"
    assert variance == "2.00e-06"


def test_pictures_have_a_staircase_for_each_precision(tmp_path):
    for seed in (0, 1):
        for bits in (1, 8):
            for suffix in ("", "-epochs=1"):
                path = tmp_path / "width_resnet20" / f"W{bits}{suffix}-seed{seed}.json"
                path.parent.mkdir(exist_ok=True)
                path.write_text(json.dumps(record(0.1 * bits, bits, seed)))
    width_tables.draw(tmp_path / "width_resnet20", tmp_path / "figures")
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {
        f"width_resnet20{suffix}.{format}" for suffix in ("", "_epochs=1") for format in ("png", "svg")
    }
    svg = (tmp_path / "figures" / "width_resnet20.svg").read_text()
    assert "W1" in svg and "W8" in svg
