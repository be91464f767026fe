import json

import numpy as np

from recipes import width_tables


def record(
    accuracy, weight_bits, seed=0, *, width=1.0, target=1000.0, depthwise_bits=None, arguments=None, variance=None
):
    return {
        "accuracy": accuracy,
        "seed": seed,
        "weight_bits": weight_bits,
        "depthwise_bits": depthwise_bits,
        "width": width,
        "size_bits": 1.01 * target,
        "target_bits": target,
        "magnitude_variance": variance,
        "config": {"network": "vgg11", "network_arguments": arguments or {}},
    }


def test_rows_are_sorted_by_size_and_precision_and_the_best_is_marked():
    records = {
        "W1-seed0": record(0.70, 1, width=2.0),
        "W1-seed1": record(0.72, 1, 1, width=2.0),
        "W8-seed0": record(0.60, 8),
        "W1D4-seed0": record(0.5, 1, depthwise_bits=4),
        "W8-small-seed0": record(0.4, 8, target=500.0),
    }
    header, rows = width_tables.by_size(records)
    assert [row[1] for row in rows] == ["W8", "W8", "W1 D4", "W1"]
    assert rows[0] == ["vgg11", "W8", "1", "1", "+1.0%", "0", "40.00", "**40.00**"]
    assert rows[3] == ["vgg11", "W1", "2", "1", "+1.0%", "0, 1", "70.00, 72.00", "**71.00**"]
    assert rows[1][-1] == "60.00" and len(header) == len(rows[0])


def test_changes_are_those_of_equal_seeds_and_widths():
    arguments = {"variant": "c", "fan_in": [4, 3]}
    records = {}
    for seed, accuracies in enumerate([(0.6, 0.5, 0.58), (0.62, 0.5, 0.6), (0.7, 0.6, None)]):
        for (name, bits, width), accuracy in zip(
            (("W4", 4, 0.5), ("W1", 1, 0.5), ("W1-grown", 1, 1.0)), accuracies, strict=True
        ):
            if accuracy is not None:
                found = record(accuracy, bits, seed, width=width, arguments=arguments, variance={"a": 1e-6, "b": 3e-6})
                records[f"{name}-seed{seed}"] = found
    _, ((network, depthwise, width, seeds, high, quantized, grown, both, variance),) = width_tables.changes(records)
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
            path = tmp_path / "width_resnet20" / f"W{bits}-seed{seed}.json"
            path.parent.mkdir(exist_ok=True)
            path.write_text(json.dumps(record(0.1 * bits, bits, seed)))
    width_tables.draw(tmp_path / "width_resnet20", tmp_path / "figures")
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {"width_resnet20.png", "width_resnet20.svg"}
    svg = (tmp_path / "figures" / "width_resnet20.svg").read_text()
    assert "W1" in svg and "W8" in svg
