import json
import re

import pytest

from recipes import results_table


def rows_of(folder, runs):
    folder.mkdir()
    for name, run in runs.items():
        (folder / f"{name}.json").write_text(json.dumps(run))
    return results_table.table(folder).splitlines()[2:]


def test_runs_are_compared_seed_by_seed(tmp_path):
    def run(seed, accuracy, share=None):
        paid = {"bitops": 1e6, "equivalent_bits": 2 * share**0.5} if share else {}
        return {"seed": seed, "accuracy": accuracy, **paid}

    runs = {
        "mixed-seed0": run(0, 0.75, 0.99),
        "mixed-seed1": run(1, 0.73, 0.98),
        "mixed-quantizer=hwgq-key=value-seed1": run(1, 0.69, 1.0),
        "uniform-seed0": run(0, 0.74, 1.0),
        "uniform-seed1": run(1, 0.70, 1.0),
        "uniform-quantizer=hwgq-seed1": run(1, 0.67, 1.0),
        "mixed-seed2": run(2, 0.9, 0.97),  # at fewer BitOps, which is no comparison
        "uniform-seed2": run(2, 0.7, 1.0),
        "float-seed0": run(0, 0.8),
        "retrained-assignment=uniform-quantizer=hwgq-seed1": run(1, 0.68, 1.0),
    }
    # 1 and 3 points ahead: mean 2, standard error 1, and Student's t of one degree of freedom is 12.71 at 95 %.
    assert rows_of(tmp_path / "resnet8_cifar10", runs) == [
        "| float | 0 | 80.00 |  |  |  |  |",
        "| uniform | 0, 1, 2 | 74.00, 70.00, 70.00 |  |  |  |  |",
        "| uniform-quantizer=hwgq | 1 | 67.00 | -3.00 |  |  | 100.0% to 100.0% |",
        "| mixed | 0, 1, 2 | 75.00, 73.00, (90.00) | +2.00 ± 12.71 |  |  | 97.0% to 99.0% |",
        "| mixed-quantizer=hwgq-key=value | 1 | 69.00 | -1.00 | +2.00 | +1.00 | 100.0% to 100.0% |",
        "| retrained-assignment=uniform-quantizer=hwgq | 1 | 68.00 | -2.00 | +1.00 |  | 100.0% to 100.0% |",
    ]


def test_runs_show_what_they_pay(tmp_path):
    runs = {
        f"hwgq-{kind}-seed{seed}": {"seed": seed, "accuracy": accuracy, "equivalent_bits": bits}
        for kind, seed, accuracy, bits in (("mixed", 1, 0.75, 1.987), ("mixed", 0, 0.7, 2), ("uniform", 0, 0.65, 2))
    }
    assert rows_of(tmp_path / "edmips_accuracy", runs) == [
        "| hwgq-mixed | 0, 1 | 2.00, 1.99 | 70.00, 75.00 |",
        "| hwgq-uniform | 0 | 2.00 | 65.00 |",
    ]


def test_pages_show_the_pictures_that_there_are_and_no_table_without_runs(tmp_path):
    with pytest.raises(ValueError, match="Take the table out of the page"):
        results_table.table(tmp_path / "edmips_accuracy")
    (tmp_path / "figures").mkdir()
    with pytest.raises(ValueError, match="Take the pictures out of the page"):
        results_table.figures("edmips_accuracy", tmp_path)
    for name in ("edmips_accuracy.png", "edmips_accuracy.svg", "edmips_other.png"):
        (tmp_path / "figures" / name).touch()
    assert results_table.figures("edmips_accuracy", tmp_path) == "![edmips_accuracy](figures/edmips_accuracy.png)\n"


def test_networks_show_what_is_worst_in_either_mode(tmp_path):
    mode = {
        "bytes": 1000,
        "predicted_bytes": 1010,
        "operators": 9,
        "operators_all_equal": 9,
        "smallest_equal_share": 1.0,
        "largest_operator_difference": 0,
        "end_to_end_equal_share": 1.0,
        "top1_agreement": 1.0,
        "outside_xnnpack": ["SOFTMAX a", "SOFTMAX b"],
    }
    worse = {**mode, "bytes": 500, "predicted_bytes": 495, "operators_all_equal": 8, "smallest_equal_share": 0.9995}
    layers = {"searched": 7, "kept": 2, "without kernel": 5, "floating": 3}
    runs = {
        "Good": {
            "layers": layers,
            "float_bytes": 4000,
            "fast": mode,
            "small": {**worse, "largest_operator_difference": 1},
        },
        "Bad": {"error": "no form"},
    }
    assert rows_of(tmp_path / "keras_applications", runs) == [
        "| Bad | no form |  |  |  |  |  |  |  |  |  |  |  |",
        "| Good | 7 of 9 | 3 | 9 of 9 and 8 of 9 | 99.95% | 1 | 100.0% | 100% | 4,000 | 1,000 | 500 | +1.0% and -1.0% "
        "| SOFTMAX |",
    ]


@pytest.mark.parametrize("path", results_table.pages(), ids=lambda path: path.name)
def test_pages_show_the_committed_runs(path):
    text = path.read_text(encoding="utf-8")
    assert results_table.with_tables(text) == text


def test_readme_has_a_table():
    assert re.search(r"<!-- table: \w+ -->", (results_table.ROOT / "README.md").read_text(encoding="utf-8"))
