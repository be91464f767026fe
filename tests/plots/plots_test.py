import subprocess
import sys

import numpy as np
import pytest

import tfmp
from tfmp import plots

BITS = {"conv1": (4, 2), "conv2": (2, 3), "pointwise": (1, 4)}
FRONT = tfmp.reports.ParetoFront(
    [
        {"energy_nj": 3.0, "accuracy": 0.9, "strategy": "mixed"},
        {"energy_nj": 1.0, "accuracy": 0.7, "strategy": "mixed"},
        {"energy_nj": 2.0, "accuracy": 0.6, "strategy": "mixed"},
        {"energy_nj": 2.0, "accuracy": 0.8, "strategy": "uniform"},
    ],
    "energy_nj",
    "accuracy",
)
NETWORK = tfmp.joint.DiscreteNetwork(
    tfmp.joint.SearchSpace([(16, 2, 2)], image_size=16, num_classes=10),
    [tfmp.joint.BlockSpec(False, 6, 5, 8, 4), tfmp.joint.BlockSpec(True)],
)
FORECAST = tfmp.reports.Forecast(
    "net",
    "kl",
    [
        tfmp.reports.ForecastRow("W4", "bitops", "bit operations", 4e6, 0.01, 0.02, (4, 4), 0.015),
        tfmp.reports.ForecastRow("W2", "bitops", "bit operations", 2e6, 0.1, 0.3, (2, 2), None),
    ],
)
SHAPES = [tfmp.graph.LayerShape(name, "conv2d", (3, 3), in_channels=8, out_channels=8) for name in ("a", "b")]
ENERGY = tfmp.simulator.simulate([SHAPES[0], ("pool", "max_pooling2d"), SHAPES[1]], {"a": (8, 8), "b": (2, 2)})
FIGURES = {
    "bars": lambda: plots.bars({"W2A2": {"a": 1.0, "b": 2.0}, "W4A4": {"b": 3.0}}, y_label="accuracy, %"),
    "bit_allocation": lambda: plots.bit_allocation({"seed 0": tfmp.BitAssignment(BITS)}, uniform_bits=(2, 2)),
    "curves": lambda: plots.curves(
        {"uniform": ([3, 1], [5.0, 4.0]), "mixed": ([1, 2], [6.0, 7.0], [0.5, 0.25])},
        x_label="bits",
        y_label="accuracy, %",
        references={"float": 8.0},
    ),
    "energy_by_layer": lambda: plots.energy_by_layer(ENERGY),
    "forecast": lambda: plots.forecast(FORECAST, title="net"),
    "intervals": lambda: plots.intervals({"softmax": ([0.5, 1.0], 0.3), "gumbel": ([0.1], None)}, x_label="points"),
    "network_blocks": lambda: plots.network_blocks({"1.5 mJ": NETWORK}, title="found"),
    "pareto_front": lambda: plots.pareto_front(FRONT, group="strategy", x_label="energy, nJ"),
    "probability_evolution": lambda: plots.probability_evolution(
        {f"conv{i}": (np.full((3, 2), 0.5), np.full((3, 3), 1 / 3)) for i in range(10)}, (2, 4), (2, 3, 4)
    ),
}


@pytest.mark.parametrize("name", FIGURES)
def test_axes_that_hold_data_are_labelled(name):
    figure = FIGURES[name]()
    figure.draw_without_rendering()
    shown = [axes for axes in figure.axes if axes.axison]
    assert any(axes.get_ylabel() or axes.get_xlabel() for axes in shown)
    assert all(axes.has_data() for axes in shown)


@pytest.mark.default_cases("bars", "pareto_front")
@pytest.mark.parametrize("name", FIGURES)
def test_equal_figures_make_equal_files(name, tmp_path):
    first = plots.save(FIGURES[name](), tmp_path / "first")
    second = plots.save(FIGURES[name](), tmp_path / "second")
    assert [path.suffix for path in first] == [".png", ".svg"]
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()
        assert one.stat().st_size > 1000


def test_saving_replaces_what_was_there(tmp_path):
    plots.save(FIGURES["bars"](), tmp_path / "figure")
    before = (tmp_path / "figure.svg").read_bytes()
    plots.save(FIGURES["curves"](), tmp_path / "figure")
    assert (tmp_path / "figure.svg").read_bytes() != before


def test_curves_are_in_the_order_of_x():
    lines = FIGURES["curves"]().axes[0].containers
    assert lines[0].lines[0].get_xdata().tolist() == [1, 3]
    assert lines[0].lines[0].get_ydata().tolist() == [4, 5]


def test_bars_stand_at_their_categories():
    axes = FIGURES["bars"]().axes[0]
    heights = [[bar.get_height() for bar in container] for container in axes.containers]
    assert heights == [[1.0, 2.0], [3.0]]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["a", "b"]
    middle = axes.containers[1][0].get_x() + axes.containers[1][0].get_width() / 2
    assert 1 < middle < 1.4


def test_bits_of_weights_are_above_those_of_inputs():
    above, below = FIGURES["bit_allocation"]().axes
    assert [bar.get_height() for bar in above.containers[0]] == [4, 2, 1]
    assert [bar.get_height() for bar in below.containers[0]] == [2, 3, 4]


def test_intervals_show_values_mean_and_half_width():
    axes = FIGURES["intervals"]().axes[0]
    (error,) = axes.containers
    (segment,) = error.lines[2][0].get_segments()
    np.testing.assert_allclose(segment, [[0.45, 0], [1.05, 0]])
    assert [text.get_text() for text in axes.get_yticklabels()] == ["softmax", "gumbel"]


def test_blocks_are_as_wide_as_their_expansion_and_skipped_ones_are_dashed():
    (axes,) = FIGURES["network_blocks"]().axes
    texts = [text.get_text() for text in axes.texts]
    assert texts == ["conv 3x3, 32 [8, 8]", "16 x 4²", "MB6 5x5 [8, 4]", "conv 1x1, 1280 [8, 8]", "mean, 10 [8, 8]"]
    assert len(axes.patches) == 4 and axes.patches[1].get_width() == 2.0
    assert [line.get_linestyle() for line in axes.lines] == ["-", "--"]


def test_a_forecast_is_in_the_order_of_cost_on_a_logarithmic_axis():
    (axes,) = FIGURES["forecast"]().axes
    assert axes.get_yscale() == "log" and axes.get_xlabel() == "bitops of the searched layers, bit operations"
    lines = {line.get_label(): [*line.get_xdata(), *line.get_ydata()] for line in axes.lines}
    assert lines["uniform"] == [2e6, 4e6, 0.3, 0.02] and lines["mixed, exact"] == [2e6, 4e6, 0.1, 0.01]
    assert lines["depthwise_8"] == [4e6, 0.015]


def test_the_parts_of_a_bar_add_up_to_the_energy_of_the_layer():
    (axes,) = FIGURES["energy_by_layer"]().axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["a", "b"]
    assert [container.get_label() for container in axes.containers] == ["core", "buffers", "dram"]
    heights = np.sum([[bar.get_height() for bar in container] for container in axes.containers], axis=0)
    np.testing.assert_allclose(heights, [row.energy_nj["total"] / 1e6 for row in ENERGY.layers if row.modelled])
    assert axes.get_title() == "simulated on bit_fusion, batch 16"


def test_no_two_series_look_alike_in_grey():
    from tfmp.plots.figure import bar_style, line_style

    assert len({line_style(i)["marker"] for i in range(8)}) == 8
    assert len({bar_style(i)["hatch"] for i in range(8)}) == 8


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plots.bars({}, y_label="y"), "at least one series"),
        (lambda: plots.forecast(tfmp.reports.Forecast("net", "kl", [])), "budgets of one cost. Received: none"),
        (lambda: plots.energy_by_layer(tfmp.reports.NetworkReport((), "mpic", 1)), "at least one modelled layer"),
        (lambda: plots.curves({}, x_label="x", y_label="y"), "at least one series"),
        (lambda: plots.curves({"a": ([1, 2], [1])}, x_label="x", y_label="y"), "as many y as x. Received: 1 and 2"),
        (lambda: plots.network_blocks({}), "at least one network"),
        (lambda: plots.intervals({}, x_label="x"), "at least one row"),
        (lambda: plots.bit_allocation({"a": {}}), "at least one layer"),
        (lambda: plots.probability_evolution({}, (2,), (2,)), "at least one layer"),
        (lambda: plots.probability_evolution({"c": ([[0.5, 0.5]], [[1.0]])}, (2,), (2,)), "Layer `c`: expected"),
    ],
    ids=[
        "bars",
        "forecast",
        "energy_by_layer",
        "curves",
        "curves_lengths",
        "network_blocks",
        "intervals",
        "bit_allocation",
        "evolution",
        "evolution_candidates",
    ],
)
def test_says_what_was_expected(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_import_leaves_matplotlib_alone():
    program = "import sys, tfmp.plots; print(sorted(sys.modules.keys() & {'matplotlib', 'tensorflow', 'keras'}))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_staircase_of_a_group_goes_through_its_best_points():
    mixed, uniform = FIGURES["pareto_front"]().axes[0].lines
    assert (mixed.get_xdata().tolist(), mixed.get_ydata().tolist()) == ([1, 3], [0.7, 0.9])
    assert (uniform.get_label(), uniform.get_xdata().tolist()) == ("uniform", [2])
    with pytest.raises(ValueError, match="Expected `width` in every point. Received one with energy_nj"):
        plots.pareto_front(FRONT, group="width")
    with pytest.raises(ValueError, match="at least one point"):
        plots.pareto_front(FRONT.where(strategy="random"))
