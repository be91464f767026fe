"""Predicted bytes against files on disk."""

import keras
import numpy as np
import pytest

import tfmp
from recipes.keras_applications import build, first_networks
from tests.costs.network_sizes import TOLERANCE_BYTES, apart, check_size, different_channels
from tests.lowering.open_lowering_test import gated_blocks
from tests.operators import table_test
from tests.small_graphs import CONV, DENSE, DEPTHWISE, chain, layer, selection
from tests.tflite.small_mode_test import wide
from tests.transform.fold_models import MODELS, fixed_model, randomized, samples
from tfmp.costs import TFLiteBytes
from tfmp.graph import FLOAT, CodeFormat

PAIRS = {"uniform": [(2, 2)], "mixed": [(4, 4), (1, 2), (8, 8), (3, 3)]}


@pytest.mark.default_cases("gated_blocks-*")
@pytest.mark.parametrize(
    ("build", "pairs"),
    [
        (wide, "uniform"),
        (MODELS["residual"], "mixed"),
        (table_test.gated, "mixed"),
        (table_test.parametric, "uniform"),
        (gated_blocks, "mixed"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_small_networks(build, pairs, tmp_path):
    keras.utils.set_random_seed(0)
    model = randomized(build())
    fixed = apart(fixed_model(model, PAIRS[pairs], samples(model)))
    fast, small = (check_size(fixed, tmp_path / mode, mode=mode) for mode in ("fast", "small"))
    assert small.size_bytes <= fast.size_bytes


@pytest.mark.slow
@pytest.mark.parametrize("bits", [2, 4])
@pytest.mark.parametrize("name", first_networks())
def test_networks_of_keras_applications(name, bits, tmp_path):
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    model = build(name, 64, 100, rng)
    different_channels(model)
    images = rng.normal(size=(4, *model.input_shape[1:])).astype(np.float32)
    relaxed = tfmp.relax(model, weight_bits=(2, 4), activation_bits=(2, 4), calibration=images)
    fixed = apart(tfmp.fix(relaxed, dict.fromkeys(searched(relaxed), (bits, bits))))
    for mode in ("fast", "small"):
        check_size(fixed, tmp_path / mode, mode=mode)


def test_a_budget_of_bytes_is_met_by_the_file(tmp_path):
    model = randomized(wide())
    data = samples(model)
    relaxed = tfmp.relax(model, calibration=data, weight_bits=(1, 2, 4, 8), activation_bits=(2, 4))
    rng = np.random.default_rng(0)
    for each in relaxed.layers:
        for variable in each.weights:
            if variable.path.endswith("logits"):
                variable.assign(rng.normal(size=variable.shape))
    smallest, largest = (
        tfmp.cost(relaxed, "tflite_bytes", {name: (bits, 2) for name in searched(relaxed)}) for bits in (1, 8)
    )
    for limit in np.linspace(smallest, largest, 4)[1:]:
        budget = tfmp.Budget("tflite_bytes", limit=float(limit))
        assignment = tfmp.discretize(relaxed, strategy="budget", budget=budget)
        fixed = tfmp.fix(relaxed, assignment)
        report = tfmp.export_tflite(fixed, tmp_path / "model.tflite", mode="small", overwrite=True)
        assert report.size_bytes <= limit + TOLERANCE_BYTES
        assert report.size_bytes > limit - 0.2 * (largest - smallest)
        assert assignment.costs["tflite_bytes"] <= limit * (1 + 1e-9)
    uniform = tfmp.discretize(relaxed, strategy="budget", budget=tfmp.Budget("tflite_bytes", like_uniform=(2, 2)))
    assert tfmp.cost(relaxed, "tflite_bytes", uniform) <= tfmp.cost(
        relaxed, "tflite_bytes", dict.fromkeys(searched(relaxed), (2, 2))
    )


def searched(model):
    return [each.name for each in model.layers if hasattr(each, "weight_selector") and len(each.weight_bits) > 1]


def test_a_layer_pays_for_containers_rather_than_bits():
    large = tfmp.graph.LayerShape("large", "conv2d", (3, 3), (1, 1), 64, 64, 1, (8, 8))
    formats = [CodeFormat(bits, -(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for bits in (2, 3, 4, 5, 7)]
    formats = [CodeFormat(1, -1, 1), *formats, CodeFormat(8, -127, 127), FLOAT]
    small = TFLiteBytes().table(large, formats, [CodeFormat(4, 0, 15), CodeFormat(4, -8, 7), FLOAT])
    assert small.shape == (8, 3)
    one, two, three, four, five, seven, eight, floating = small[:, 0]
    assert one == two < three == four < five == seven == eight < floating
    assert eight - four == pytest.approx(64 * 64 * 9 / 2, abs=700)
    assert np.all(small[:, 1] > small[:, 0]) and np.all(small[:, 2] == small[:, 0])
    fast = TFLiteBytes("fast").table(large, formats[:-1], [FLOAT])
    assert np.all(fast == fast[0]) and fast[0] == eight


def test_a_network_in_floating_point_has_four_bytes_for_a_parameter():
    model = randomized(wide())
    assert 0 < tfmp.cost(model, "tflite_bytes") - 4 * model.count_params() < 6000


def test_further_calls_cost_operators_alone():
    layers = layer(CONV, selection((8,)), selection((8,), signed=False)), layer(DENSE), layer(DEPTHWISE)
    overheads = [TFLiteBytes().overhead(chain(*layers, order=["conv"] * count)) for count in (1, 2, 3)]
    assert overheads[2] - overheads[1] == overheads[1] - overheads[0] < 150


def test_unknown_mode():
    with pytest.raises(ValueError, match="'fast', 'small'"):
        TFLiteBytes("tiny")
