"""The networks of MLPerf Tiny with searched bits: they run in the runtime of microcontrollers, within their budgets."""

import keras
import numpy as np
import pytest

import tfmp
from tests.costs.network_sizes import different_channels
from tests.tflite.micro_check import needs_micro_runtime
from tfmp.bindings.framework import framework_of

pytestmark = needs_micro_runtime
SMALL = {
    "resnet8": {"image_size": 12, "width": 0.5},
    "ds_cnn": {"image_size": 12, "width": 0.5},
    "mobilenet_v1_vww": {"image_size": 32},
    "dense_autoencoder": {"num_features": 64},
}
COSTS = ("micro_bytes", "micro_arena_bytes")


@pytest.mark.default_cases("ds_cnn")
@pytest.mark.parametrize("name", SMALL)
def test_mixed_bits_give_equal_codes_within_what_was_foreseen(name, tmp_path):
    rng = np.random.default_rng(0)
    keras.utils.set_random_seed(0)
    model = tfmp.networks.get(name)(keras, **SMALL[name])
    different_channels(model)
    inputs = rng.normal(size=(4, *model.input_shape[1:])).astype(np.float32)
    search_model = tfmp.relax(model, weight_bits=(2, 3, 4, 5, 6, 8), activation_bits=(8,), calibration=inputs)
    names = list(tfmp.discretize(search_model))
    mixed = {name: (int(rng.choice([2, 3, 4, 5, 6, 8])), 8) for name in names}
    least, most = (
        [tfmp.cost(search_model, cost, dict.fromkeys(names, (bits, 8))) for cost in COSTS] for bits in (2, 8)
    )
    limits = [(least[0] + most[0]) / 2, 1.05 * max(least[1], most[1])]
    budgets = [tfmp.Budget(cost, limit=limit) for cost, limit in zip(COSTS, limits, strict=True)]
    within = tfmp.discretize(search_model, strategy="budget", budget=budgets).bits
    for bits in (mixed, within):
        fixed = tfmp.fix(search_model, bits)
        path = tmp_path / "model.tflite"
        report = tfmp.export_tflite(fixed, path, target="micro", verify=inputs, tolerance=None, overwrite=True)
        assert {operator.largest_difference for operator in report.operators} == {0}
        used = report.size_bytes, report.file.arena_bytes
        for number, cost in enumerate(COSTS):
            assert used[number] <= tfmp.cost(fixed, cost) <= tfmp.cost(search_model, cost, bits)
            if bits is within:
                assert used[number] <= limits[number]
    with pytest.raises(ValueError, match="cannot be met: the cheapest assignment costs"):
        tfmp.Budget("micro_bytes", limit=least[0] / 2).limit_for(framework_of(search_model).read(search_model))
