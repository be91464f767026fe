import json

import numpy as np
import pytest

from recipes import edmips_figures, experiment

BITS = {"conv1": [2, 3], "conv2": [4, 2]}


def record(seed, accuracy=0.7, equivalent_bits=2.0, **more):
    config = {"weight_bits": [2, 4], "activation_bits": [2, 3], "eta": None, "uniform_bits": [2, 2]}
    return {"seed": seed, "accuracy": accuracy, "equivalent_bits": equivalent_bits, "config": config, **more}


def variant(step, peak, trained=1):
    return {"step_of_uniform": [step, step, step], "peak_bytes": peak, "trained_bytes": trained}


PROBABILITIES = {"conv1": [[0.5, 0.5], [0.9, 0.1]], "conv2": [[0.3, 0.7], [0.2, 0.8]]}
RUNS = {
    "edmips_filter_sensitivity": {"baseline-seed0": record(0), "ch1x1-seed0": record(0, 0.72, 3.0)},
    "edmips_evolution": {"2-4-seed0": record(0, evolution={"0": PROBABILITIES, "10": PROBABILITIES})},
    "edmips_accuracy": {
        "hwgq-uniform-W2A2-seed0": record(0, 0.7, 2.0),
        "hwgq-uniform-W2A2-seed1": record(1, 0.8, 2.0),
        "hwgq-uniform-W4A4-seed0": record(0, 0.9, 4.0),
        "hwgq-mixed-W2A2-seed0": record(0, 0.8, 1.9),
    },
    "edmips_allocation": {"resnet8-seed0": record(0, bits=BITS)},
    "edmips_ablations": {
        "uniform-seed0": record(0, 0.70),
        "search-seed0": record(0, history={"expected_cost": [1.1, 1.0]}),
        "budget-seed0": record(0, 0.71, 1.98, bits=BITS),
    },
    "benchmark_search": {
        "resnet18": {
            "variants": {
                "uniform": variant(1, 100),
                "softmax": variant(1.2, 110),
                "separate": variant(1.3, 150, 4),
                "parallel": variant(3, 400),
                "candidates_2": {"step_of_uniform": [1, 1.1, 1.2]},  # whose memory was not measured
                "candidates_8": {"step_of_uniform": [1, 1.3, 1.4]},
            }
        }
    },
}


@pytest.fixture
def drawn(tmp_path):
    """Function of a name: the figures of its runs by the suffix of their names."""

    def draw(name):
        folder = tmp_path / name
        folder.mkdir()
        for stem, one in RUNS[name].items():
            (folder / f"{stem}.json").write_text(json.dumps(one))
        return dict(edmips_figures._DRAWN[name](edmips_figures.load(folder)))

    return draw


def test_sensitivity_is_the_gain_over_the_baseline(drawn):
    figures = drawn("edmips_filter_sensitivity")
    heights = {name: [bar.get_height() for bar in figure.axes[0].patches] for name, figure in figures.items()}
    assert heights[""] == pytest.approx([2.0])
    assert heights["_cost"] == pytest.approx([125.0])  # 3 * 3 to 2 * 2


def test_evolution_shows_a_panel_for_each_tensor(drawn):
    (figure,) = drawn("edmips_evolution").values()
    lines = [[line.get_ydata().tolist() for line in axes.lines] for axes in figure.axes]
    assert lines == [
        [[0.5, 0.5], [0.5, 0.5]],
        [[0.3, 0.3], [0.7, 0.7]],
        [[0.9, 0.9], [0.1, 0.1]],
        [[0.2, 0.2], [0.8, 0.8]],
    ]


def test_accuracy_is_the_mean_over_seeds_at_the_bits_paid_for(drawn):
    (figure,) = drawn("edmips_accuracy").values()
    lines = {container.get_label(): container.lines[0].get_xydata() for container in figure.axes[0].containers}
    np.testing.assert_allclose(lines["HWGQ uniform"], [[2, 75], [4, 90]])
    np.testing.assert_allclose(lines["HWGQ mixed"], [[1.9, 80]])


def test_ablations_are_ahead_of_the_uniform_network(drawn):
    figures = drawn("edmips_ablations")
    axes = figures[""].axes[0]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["budget (1.98 bits)"]
    assert axes.lines[1].get_xdata() == pytest.approx([1.0])
    (curve,) = figures["_convergence"].axes[0].containers
    np.testing.assert_allclose(curve.lines[0].get_xydata(), [[1, 1.1], [2, 1.0]])


def test_composite_is_relative_to_the_uniform_network(drawn):
    figures = drawn("benchmark_search")
    heights = [[bar.get_height() for bar in bars] for bars in figures["_resnet18"].axes[0].containers]
    assert heights == [[1.2, 1.1, 1], [1.3, 1.5, 4], [3, 4, 1]]
    np.testing.assert_allclose(
        figures["_resnet18_growth"].axes[0].containers[0].lines[0].get_xydata(), [[2, 1.1], [8, 1.3]]
    )


def test_draws_both_formats_and_nothing_where_there_are_no_runs(tmp_path):
    folder = tmp_path / "edmips_allocation"
    folder.mkdir()
    edmips_figures.draw(folder, tmp_path / "figures")
    assert list((tmp_path / "figures").iterdir()) == []
    (folder / "resnet8-seed0.json").write_text(json.dumps(RUNS["edmips_allocation"]["resnet8-seed0"]))
    edmips_figures.draw(folder, tmp_path / "figures")
    names = sorted(path.name for path in (tmp_path / "figures").iterdir())
    assert names == ["edmips_allocation_resnet8.png", "edmips_allocation_resnet8.svg"]


def test_every_configuration_is_drawn():
    names = {path.stem for path in experiment.CONFIGS.glob("edmips_*.json")}
    assert names <= edmips_figures._DRAWN.keys()
