import dataclasses
import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.simulator import oracle
from tests.simulator.sample_layers import BIT_FUSION, CONV, DEPTHWISE
from tfmp.graph import LayerShape
from tfmp.simulator import BitFusion, cost_table, simulate, simulate_layer

ROOT = pathlib.Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden" / "bit_fusion"
NETWORKS = sorted(path.stem for path in GOLDEN.glob("*.json") if path.stem != "random_layers")


def golden(name):
    return json.loads((GOLDEN / f"{name}.json").read_text())


def reference_shape(name, geometry):
    """The reference speaks of square convolutions only; a depthwise layer shows in its name."""
    side, size, stride = geometry["kernel"], geometry["out_size"], geometry["stride"]
    kind = "dense" if geometry.get("type") == "fc" else "conv2d"
    in_channels, groups = geometry["in_ch"], 1
    if name.startswith("dw") or "_dw" in name:
        kind, in_channels, groups = "depthwise_conv2d", geometry["out_ch"], geometry["out_ch"]
    return LayerShape(
        name,
        kind,
        kernel_size=(side, side),
        strides=(stride, stride),
        in_channels=in_channels,
        out_channels=geometry["out_ch"],
        groups=groups,
        output_size=(size, size),
        reads_network_input=geometry["im2col"],
    )


def counters(report):
    return {
        name: getattr(report, name)
        for name in ("macs", "compute_cycles", "stall_cycles", "total_cycles", "reads_bits", "writes_bits")
    }


@pytest.mark.parametrize("network", NETWORKS)
def test_networks_equal_the_reference(network):
    expected = golden(network)
    depthwise = expected["depthwise"] or "single_channel"
    latency_ms = energy_mj = 0.0
    for layer in expected["layers"]:
        shape = reference_shape(layer["name"], layer["geometry"])
        assert (shape.kind == "depthwise_conv2d") <= (expected["depthwise"] is not None)
        report = simulate_layer(
            shape, layer["weight_bits"], layer["activation_bits"], batch=layer["geometry"]["batch"], depthwise=depthwise
        )
        assert counters(report) == layer["counters"], layer["name"]
        assert report.energy_nj == pytest.approx(layer["energy_nj"], rel=1e-9), layer["name"]
        latency_ms += report.latency_ms
        energy_mj += report.energy_nj["total"] / 1e6
    assert latency_ms == pytest.approx(expected["latency_ms"], rel=1e-9)
    assert energy_mj == pytest.approx(expected["energy_mj"], rel=1e-9)


@pytest.mark.parametrize("vector", golden("random_layers")["vectors"], ids=lambda vector: str(vector["geometry"]))
def test_random_layers_on_other_hardware_equal_the_reference(vector):
    hardware = BitFusion(name="random", **vector["hardware"])
    shape = reference_shape("random", vector["geometry"])
    batch = vector["geometry"]["batch"]
    report = simulate_layer(shape, vector["weight_bits"], vector["activation_bits"], hardware, batch)
    computed = counters(report)
    del computed["macs"]
    assert computed == vector["counters"]
    assert report.energy_nj["total"] == pytest.approx(vector["total_energy_nj"], rel=1e-9)


def workload(name):
    entries = json.loads((ROOT / "tools" / "workloads" / f"{name}.json").read_text())
    return [LayerShape(**each) if "in_channels" in each else (each["name"], each["kind"]) for each in entries]


@pytest.mark.parametrize(
    ("bits", "latency_ms", "energy_mj"), [((8, 8), "20.076", "31.066"), ((6, 4), "11.084", "16.566")]
)
def test_rows_of_haq(bits, latency_ms, energy_mj):
    """HAQ publishes 20.08 ms and 31.03 mJ at 8 bits, 16.57 mJ at W6A4: batch 1, depthwise layers as dense ones."""
    layers = workload("mobilenet_v1")
    names = [layer.name for layer in layers if isinstance(layer, LayerShape)]
    total = simulate(layers, dict.fromkeys(names, bits), batch=1, depthwise="dense").total
    assert f"{total.latency_ms:.3f}" == latency_ms
    assert f"{total.energy_nj['total'] / 1e6:.3f}" == energy_mj


def test_resnet18_equals_the_reference():
    layers = workload("resnet18")
    names = [layer.name for layer in layers if isinstance(layer, LayerShape)]
    total, expected = simulate(layers, dict.fromkeys(names, (2, 2))).total, golden("resnet18_w2a2_b16")
    assert total.latency_ms == pytest.approx(expected["latency_ms"], rel=1e-9)
    assert total.energy_nj["total"] / 1e6 == pytest.approx(expected["energy_mj"], rel=1e-9)


def test_with_the_bits_of_readers_each_tensor_is_written_once():
    """Two layers that hold their outputs on the chip: only the input of the second is written, in its 3 bits."""
    second = dataclasses.replace(CONV, name="second", in_channels=32)
    first = dataclasses.replace(CONV, reads_network_input=True)
    bits = {"conv": (8, 8), "second": (8, 3)}
    reference, reader = (simulate([first, second], bits, name, batch=1) for name in ("bit_fusion", "bit_fusion_reader"))
    assert [layer.writes_bits["dram"] for layer in reference.layers] == [4 * 4 * 32 * 32] * 2
    assert [layer.writes_bits["dram"] for layer in reader.layers] == [0, 6 * 6 * 32 * 3]
    for with_32, with_3 in zip(reference.layers, reader.layers, strict=True):
        assert with_3.reads_bits["dram"] == with_32.reads_bits["dram"] - 4 * 4 * 32 * 32  # no empty sums are fetched
        assert with_3.energy_nj["total"] < with_32.energy_nj["total"]


def test_dense_layer_by_hand():
    """The layer of docs/energy_and_latency.md: 1024 -> 512, 4-bit operands, batch 16."""
    report = simulate_layer(LayerShape("dense", "dense", in_channels=1024, out_channels=512), 4, 4, batch=16)
    lanes = 16 * (8 // 4) * (8 // 4)
    assert lanes == 64
    # Tile: 1 sample, all 1024 inputs, 32 outputs: 16 tiles along the batch, 16 along the outputs.
    tiles = 16 * 16
    weights, inputs, outputs = 16 * lanes * 32 * 4, 1024 * 4, 32 * 32
    assert (weights, inputs, outputs) == (131_072, 4_096, 1_024)
    # Batch inside: inputs and outputs of all samples stay, 65,536 <= 131,072 and 16,384 <= 65,536 bits. Outputs
    # outside: weights reach 2,097,152 > 262,144 bits and outputs 262,144 > 65,536, so neither stays; inputs stay.
    reads = 16 * 131_072 + 65_536 + 262_144
    writes = 262_144
    compute = tiles * 1 * (1024 // lanes)
    first, last = 131_072 + 65_536 + 16_384, 16_384
    latency = 1_110 + 86  # 212,992 / 192 = 1109.33, 16,384 / 192 = 85.33
    memory = 12_800  # (2,424,832 + 262,144 - 212,992 - 16,384) / 192
    assert memory * 192 == reads + writes - first - last
    assert (report.compute_cycles, compute) == (4_096, 4_096)
    assert report.stall_cycles == memory - compute + latency == 9_900
    assert report.total_cycles == 13_996
    # Per tile input stationary moves 1,183,744 bits, output stationary 263,168, weight stationary 1,310,720.
    macs = 16 * 1024 * 512
    assert report.reads_bits == {
        "input_buffer": 4 * macs,
        "weight_buffer": 4 * macs,
        "output_buffer": tiles * 32 * 32 + 262_144,
        "dram": reads,
    }
    assert report.writes_bits == {
        "input_buffer": 65_536,
        "weight_buffer": 2_097_152,
        "output_buffer": tiles * 32 * 32 + 262_144,
        "dram": writes,
    }
    assert report.energy_nj["core"] == pytest.approx(4_096 * 0.235104)
    assert report.energy_nj["dram"] == pytest.approx((reads + writes) * 0.015)
    assert report.energy_nj["weight_buffer"] == pytest.approx(4 * macs * 2.136565625e-5 + 2_097_152 * 2.891615625e-5)
    assert report.energy_nj["total"] == pytest.approx(44_103.961, abs=5e-4)
    assert report.latency_ms == pytest.approx(13_996 / 500e6 * 1e3)


def test_convolution_by_hand():
    """One tile holds it all: 3 x 3, 16 -> 32 channels, 4 x 4 outputs, 4-bit operands, one sample."""
    report = simulate_layer(CONV, 4, 4, batch=1)
    assert report.compute_cycles == 16 * 9 * 1  # 16 outputs, 9 taps, 16 channels in one step of 64 lanes
    weights = 3 * 64 * 32 * 4  # 144 products padded to 192
    inputs = 6 * 6 * 16 * 4  # 6 = 3 + (4 - 1) * 1
    outputs = 16 * 32 * 32
    assert report.reads_bits["dram"] == weights + inputs + outputs == 43_264
    assert report.writes_bits["dram"] == outputs
    assert report.stall_cycles == 226 + 86  # 43,264 / 192 = 225.33 before, 16,384 / 192 = 85.33 after, none between
    assert report.reads_bits["output_buffer"] == 2 * outputs


def assert_equals_oracle(shape, weight_bits, activation_bits, hardware, batch, objective, depthwise):
    expected = oracle.simulate(shape, weight_bits, activation_bits, hardware, batch, objective, depthwise)
    arguments = {"objective": objective, "depthwise": depthwise}
    if expected is None:
        with pytest.raises(ValueError, match=rf"`{shape.name}`: no tiling fits.*_buffer"):
            simulate_layer(shape, weight_bits, activation_bits, hardware, batch, **arguments)
        return
    report = simulate_layer(shape, weight_bits, activation_bits, hardware, batch, **arguments)
    assert report.energy_nj["total"] == pytest.approx(expected.pop("energy_nj"), rel=1e-12)
    computed = {name: getattr(report, name) for name in ("macs", "compute_cycles", "stall_cycles", "total_cycles")}
    for memory in ("input_buffer", "weight_buffer", "output_buffer", "dram"):
        computed[f"{memory}_reads"] = report.reads_bits[memory]
        computed[f"{memory}_writes"] = report.writes_bits[memory]
    assert computed == expected


@st.composite
def layers(draw):
    kind = draw(st.sampled_from(["conv2d", "depthwise_conv2d", "conv1d", "dense"]))
    pairs = st.tuples(st.integers(1, 4), st.integers(1, 4))
    groups = draw(st.integers(1, 3)) if kind == "conv2d" else 1
    in_channels = groups * draw(st.integers(1, 40))
    out_channels = groups * draw(st.integers(1, 70))
    if kind == "depthwise_conv2d":
        groups, out_channels = in_channels, in_channels * draw(st.integers(1, 2))
    kernel, strides, size = draw(pairs), draw(pairs), (draw(st.integers(1, 9)), draw(st.integers(1, 9)))
    if kind == "conv1d":
        kernel, strides, size = (1, kernel[1]), (1, strides[1]), (1, size[1])
    elif kind == "dense":
        kernel, strides, size = (1, 1), (1, 1), draw(st.sampled_from([(1, 1), (6, 1)]))
    return LayerShape("layer", kind, kernel, strides, in_channels, out_channels, groups, size, draw(st.booleans()))


@st.composite
def accelerators(draw):
    sizes = st.sampled_from([64, 96, 256, 1024, 16384])
    prices = st.floats(0, 1, allow_nan=False).map(lambda price: round(price, 6))
    max_bits = draw(st.sampled_from([4, 8]))
    return BitFusion(
        "random",
        input_lanes=draw(st.integers(1, 20)),
        output_lanes=draw(st.integers(1, 20)),
        max_bits=max_bits,
        min_bits=draw(st.sampled_from([1, 2, 4])),
        frequency_hz=1e9,
        dram_bits_per_cycle=draw(st.integers(1, 300)),
        weight_buffer_bytes=draw(sizes),
        input_buffer_bytes=draw(sizes),
        output_buffer_bytes=draw(sizes),
        **{
            field.name: draw(prices)
            for field in dataclasses.fields(BitFusion)
            if field.name.endswith("_nj_per_bit") or field.name == "core_nj_per_cycle"
        },
        output_bits=draw(st.sampled_from([32, "reader"])),
    )


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    layers(), st.integers(1, 4), st.integers(1, 4), accelerators(), st.integers(1, 5), st.sampled_from("le"), st.data()
)
def test_any_layer_on_any_hardware_equals_the_oracle(
    shape, weight_bits, activation_bits, hardware, batch, initial, data
):
    objective = {"l": "latency", "e": "energy"}[initial]
    depthwise = data.draw(st.sampled_from(["single_channel", "dense", "per_group"]))
    assert_equals_oracle(shape, weight_bits, activation_bits, hardware, batch, objective, depthwise)


@pytest.mark.parametrize("objective", ["latency", "energy"])
@pytest.mark.parametrize(
    "shape",
    [
        LayerShape("tall", "conv2d", (7, 1), (2, 1), 12, 48, 1, (30, 5)),
        LayerShape("wide", "conv2d", (1, 5), (1, 3), 12, 48, 1, (3, 40), reads_network_input=True),
        LayerShape("grouped", "conv2d", (3, 3), (1, 1), 24, 96, 4, (9, 9)),
        LayerShape("time", "conv1d", (1, 9), (1, 2), 20, 33, 1, (1, 50)),
        LayerShape("positions", "dense", in_channels=40, out_channels=70, output_size=(17, 1)),
        DEPTHWISE,
    ],
    ids=lambda shape: shape.name,
)
def test_uncommon_shapes_equal_the_oracle(shape, objective):
    small = dataclasses.replace(BIT_FUSION, weight_buffer_bytes=2048, input_buffer_bytes=1024, output_buffer_bytes=2048)
    assert_equals_oracle(shape, 3, 5, small, 3, objective, "per_group")


@settings(max_examples=25, deadline=None)
@given(layers(), st.integers(1, 8), st.integers(1, 8), st.integers(1, 4))
def test_a_wider_memory_interface_never_slows_down(shape, weight_bits, activation_bits, batch):
    narrow, wide = (BIT_FUSION.resize(dram_bits_per_cycle=bandwidth) for bandwidth in (64, 65))
    slow, fast = (simulate_layer(shape, weight_bits, activation_bits, each, batch) for each in (narrow, wide))
    assert fast.total_cycles <= slow.total_cycles


def test_more_bits_can_be_faster():
    """One input channel leaves lanes idle, and more of them the fewer the bits: their padding is fetched too."""
    pointwise = LayerShape("pointwise", "conv2d")
    assert cost_table(pointwise, (2,), (2, 3), quantity="latency_cycles", batch=1).tolist() == [[16, 14]]


@settings(max_examples=25, deadline=None)
@given(layers(), st.integers(1, 8), st.integers(1, 8), st.integers(1, 4))
def test_reports_are_consistent(shape, weight_bits, activation_bits, batch):
    report = simulate_layer(shape, weight_bits, activation_bits, batch=batch)
    other = simulate_layer(shape, weight_bits, activation_bits, batch=batch, objective="energy")
    assert report.total_cycles == report.compute_cycles + report.stall_cycles
    parts = [energy for part, energy in report.energy_nj.items() if part != "total"]
    assert report.energy_nj["total"] == pytest.approx(sum(parts), rel=1e-12)
    assert report.macs == shape.macs * batch  # `single_channel` computes exactly what the layer needs
    assert report.writes_bits["dram"] >= 32 * shape.num_outputs * batch
    assert report.total_cycles <= other.total_cycles
    assert report.energy_nj["total"] >= other.energy_nj["total"] * (1 - 1e-12)
    table = cost_table(shape, (weight_bits,), (activation_bits,), quantity="latency_cycles", batch=batch)
    assert table == [[report.total_cycles]]


def test_transposing_a_layer_changes_nothing():
    wide = LayerShape("wide", "conv2d", (1, 5), (1, 2), 12, 48, 1, (3, 40))
    tall = LayerShape("tall", "conv2d", (5, 1), (2, 1), 12, 48, 1, (40, 3))
    assert counters(simulate_layer(wide, 4, 4)) == counters(simulate_layer(tall, 4, 4))


def test_depthwise_encodings():
    per_group = simulate_layer(DEPTHWISE, 8, 8, batch=1, depthwise="per_group")
    one = simulate_layer(LayerShape("one", "conv2d", (3, 3), output_size=(8, 8)), 8, 8, batch=1)
    dense = simulate_layer(DEPTHWISE, 8, 8, batch=1, depthwise="dense")
    full = simulate_layer(dataclasses.replace(DEPTHWISE, kind="conv2d", groups=1), 8, 8, batch=1)
    single = simulate_layer(DEPTHWISE, 8, 8, batch=1)
    shared = simulate_layer(LayerShape("x", "conv2d", (3, 3), out_channels=24, output_size=(8, 8)), 8, 8, batch=1)
    assert per_group.total_cycles == 24 * one.total_cycles
    assert per_group.reads_bits == {memory: 24 * bits for memory, bits in one.reads_bits.items()}
    assert per_group.energy_nj["total"] == pytest.approx(24 * one.energy_nj["total"])
    assert counters(dense) == counters(full)
    assert counters(single) == counters(shared)
    assert (per_group.depthwise, dense.depthwise, full.depthwise) == ("per_group", "dense", None)
    grouped = simulate_layer(dataclasses.replace(DEPTHWISE, kind="conv2d"), 8, 8, batch=1, depthwise="dense")
    assert counters(grouped) == counters(per_group)  # the option is for depthwise layers alone


def test_objectives_trade_latency_for_energy():
    """VGG-16 at 8 bits: the fastest schedules take 1.66 times the energy of the most frugal, to be 0.002 % faster."""
    network = workload("vgg16")
    bits = {layer.name: (8, 8) for layer in network if isinstance(layer, LayerShape)}
    fast, frugal = (simulate(network, bits, objective=objective).total for objective in ("latency", "energy"))
    assert fast.energy_nj["total"] / frugal.energy_nj["total"] == pytest.approx(1.66, abs=0.005)
    assert 1 < frugal.total_cycles / fast.total_cycles < 1.00003


def test_cost_table_is_the_layer_at_each_pair():
    weights, activations = (1, 2, 3, 4), (2, 3, 4)
    energy = cost_table(CONV, weights, activations, BIT_FUSION, "energy_nj", batch=2)
    cycles = cost_table(CONV, weights, activations, BIT_FUSION, "latency_cycles", batch=2)
    for row, weight_bits in enumerate(weights):
        for column, activation_bits in enumerate(activations):
            report = simulate_layer(CONV, weight_bits, activation_bits, BIT_FUSION, 2)
            assert energy[row, column] == report.energy_nj["total"]
            assert cycles[row, column] == report.total_cycles
    assert energy.dtype == np.float64
    assert cost_table(CONV, (), (8,)).shape == (0, 1)


def test_network_keeps_order_and_marks_what_is_not_modelled():
    network = [CONV, ("pool", "max_pooling2d"), DEPTHWISE, ("add", "add"), CONV]
    report = simulate(network, {"conv": (2, 4), "dw": (8, 8)}, batch=2)
    assert [layer.name for layer in report.layers] == ["conv", "pool", "dw", "add", "conv"]
    assert [layer.modelled for layer in report.layers] == [True, False, True, False, True]
    assert report.not_modelled == ("pool", "add")
    conv, dw = simulate_layer(CONV, 2, 4, batch=2), simulate_layer(DEPTHWISE, 8, 8, batch=2)
    assert report.layers[0] == report.layers[4] == conv
    assert report.total.total_cycles == 2 * conv.total_cycles + dw.total_cycles
    assert report.total.energy_nj["dram"] == pytest.approx(2 * conv.energy_nj["dram"] + dw.energy_nj["dram"])
    assert (report.hardware, report.batch, report.depthwise) == ("bit_fusion", 2, "single_channel")


def test_a_changed_report_does_not_change_the_next():
    before = simulate_layer(CONV, 3, 3)
    before.reads_bits["dram"] = before.energy_nj["total"] = before.schedule["tile"]["batch"] = 0
    after = simulate_layer(CONV, 3, 3)
    assert after.reads_bits["dram"] > 0 and after.energy_nj["total"] > 0 and after.schedule["tile"]["batch"] > 0


def test_import_loads_no_framework():
    program = (
        "import sys, tfmp.simulator; "
        "print([name for name in ('tensorflow', 'keras', 'tf_keras') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
