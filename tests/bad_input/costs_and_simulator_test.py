"""Bad input of `tfmp.costs`, `tfmp.simulator` and `tfmp.quantizers`."""

import numpy as np
import pytest

from tests.bad_input import rows as kinds
from tests.bad_input.rows import check_refused, choice, given, instance, rows
from tfmp import costs, quantizers, simulator
from tfmp.graph import LayerShape

SHAPE = LayerShape("conv", "conv2d", (3, 3), in_channels=4, out_channels=8, output_size=(4, 4))
PRICES = {"layers": {"conv": {(2, 2): 1.0}}, "unit": "ms"}
ARRAYS = {**PRICES, "layers": {"conv": [[1.0]]}, "weight_bits": (2,), "activation_bits": (2,)}
BITS_32 = ValueError, "one or more integers from 1 to 32", [(), (0,), (33,), (2.5,), 2, "2"]
HARDWARE = TypeError, "a `tfmp.simulator.Hardware`, or the name of a preset", [None, 3, [], kinds.THING]
ENCODING = given(choice("single_channel", "dense", "per_group"))
ACCELERATED = {
    "batch": kinds.POSITIVE_INTEGER,
    "objective": choice("latency", "energy"),
    "depthwise": ENCODING,
    "hardware": HARDWARE,
}
BIT_FUSION = simulator.Hardware.from_preset("bit_fusion")


def energy_of_one_layer(**arguments):
    return simulator.simulate_layer(**{"shape": SHAPE, "weight_bits": 2, "activation_bits": 2, **arguments})


NO_COST = TypeError, "the name of a cost or a `tfmp.costs.Cost`", [None, 3, [], np.ones(2)]
PRESET = ValueError, "'bit_fusion'", ["tpu", "", None, 3, []]

ROWS = [
    *rows("get", costs.get, {}, cost=NO_COST),
    *rows("get", costs.get, {}, cost=(ValueError, "one of 'flops', 'bitops'", ["", "watts"])),
    *rows("network_cost", costs.network_cost, {"cost": costs.BitOps()}, graph=instance("a `tfmp.graph.Graph`")),
    *rows("tables", costs.tables, {"cost": costs.BitOps()}, graph=instance("a `tfmp.graph.Graph`")),
    *rows("layer_cost", costs.layer_cost, {"table": np.ones((1, 1))}, layer=instance("a `tfmp.graph.Layer`")),
    *rows(
        "Table",
        costs.Table,
        PRICES,
        layers=(TypeError, "a mapping of layer names to prices", [None, 3, [[1.0]], "conv"]),
        unit=kinds.TEXT,
        name=kinds.TEXT,
        others=given(kinds.NOT_NEGATIVE),
    ),
    *rows("Table", costs.Table, ARRAYS, weight_bits=BITS_32, activation_bits=BITS_32),
    *rows(
        "Function",
        costs.Function,
        {"function": len, "name": "f", "unit": "u"},
        function=(TypeError, "a function of (shape, weight_bits, activation_bits)", [None, 3, "len"]),
        name=kinds.TEXT,
        unit=kinds.TEXT,
        per_call=kinds.FLAG,
    ),
    *rows("Energy", costs.Energy, {}, **ACCELERATED),
    *rows("SimulatedLatency", costs.SimulatedLatency, {}, **ACCELERATED),
    *rows("ModelSize", costs.ModelSize, {}, kernels_only=kinds.FLAG),
    *rows("TFLiteBytes", costs.TFLiteBytes, {}, mode=choice("fast", "small")),
    *rows("from_preset", simulator.Hardware.from_preset, {}, name=PRESET),
    *rows(
        "resize",
        BIT_FUSION.resize,
        {},
        input_lanes=kinds.POSITIVE_INTEGER,
        weight_buffer_bytes=kinds.POSITIVE_INTEGER,
        frequency_hz=kinds.POSITIVE_NUMBER,
        dram_nj_per_bit=kinds.NOT_NEGATIVE,
        name=kinds.TEXT,
    ),
    *rows(
        "simulate_layer",
        energy_of_one_layer,
        {},
        shape=instance("a `LayerShape`"),
        weight_bits=kinds.BITS_8,
        activation_bits=kinds.BITS_8,
        **ACCELERATED,
    ),
    *rows(
        "simulate",
        simulator.simulate,
        {"layers": [SHAPE], "bits": {"conv": (2, 2)}},
        layers=(TypeError, "a list of LayerShape and of pairs", [None, 3, {}, kinds.THING]),
        bits=(TypeError, "a mapping of layer names", [None, 3, (8, 8), "conv"]),
        **ACCELERATED,
    ),
    *rows(
        "cost_table",
        simulator.cost_table,
        {"shape": SHAPE, "weight_bits": (2,), "activation_bits": (2,)},
        shape=instance("a `LayerShape`"),
        weight_bits=(TypeError, "a list of bits", [None, 3, {}]),
        quantity=choice("energy_nj", "latency_cycles"),
        **ACCELERATED,
    ),
    *rows("get", quantizers.get, {"quantizer": "lsq", "bits": 2}, bits=kinds.BITS_8, signed=kinds.FLAG),
    *rows("HWGQ", quantizers.HWGQ, {"bits": 2}, bits=kinds.BITS_8, signed=kinds.FLAG),
]


@pytest.mark.parametrize(("call", "good", "argument", "value", "error", "words"), ROWS)
def test_what_is_wrong_is_named(call, good, argument, value, error, words):
    check_refused(call, good, argument, value, error, words)


@pytest.mark.parametrize("name", ["", "pact", None, 3, ["lsq"]], ids=repr)
def test_unknown_quantizers(name):
    with pytest.raises(ValueError, match="`quantizer` must be one of 'lsq', 'hwgq'.* Received: "):
        quantizers.get(name, bits=2)
