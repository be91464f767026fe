"""Parameters of accelerators, and the throughput of their fusion units."""

import dataclasses
import importlib.resources
import json

import pytest

from tfmp.graph import LayerShape
from tfmp.simulator import Hardware, LayerCost, hardware, preset_names, simulate_layer
from tfmp.simulator.bit_fusion.sram import sram_energy_nj_per_bit

BIT_FUSION = Hardware.from_preset("bit_fusion")


def preset_text(name="bit_fusion"):
    return json.loads(importlib.resources.files("tfmp.simulator").joinpath(f"presets/{name}.json").read_text())


def test_preset_is_the_published_default():
    numbers = dataclasses.asdict(BIT_FUSION)
    assert numbers.pop("name") == "bit_fusion"
    assert numbers == pytest.approx(
        {
            "input_lanes": 16,
            "output_lanes": 32,
            "max_bits": 8,
            "min_bits": 2,
            "frequency_hz": 500e6,
            "dram_bits_per_cycle": 192,
            "weight_buffer_bytes": 64 * 1024,
            "input_buffer_bytes": 32 * 1024,
            "output_buffer_bytes": 16 * 1024,
            "core_nj_per_cycle": 3_673_500e-9 * (16 * 32 / 16) / 500e6 * 1e9,
            "weight_buffer_read_nj_per_bit": 0.02136565625e-3,
            "weight_buffer_write_nj_per_bit": 0.02891615625e-3,
            "input_buffer_read_nj_per_bit": 0.059474375e-3,
            "input_buffer_write_nj_per_bit": 0.1137040625e-3,
            "output_buffer_read_nj_per_bit": 0.0331553125e-3,
            "output_buffer_write_nj_per_bit": 0.0730840625e-3,
            "dram_nj_per_bit": 15e-3,
            "output_bits": 32,
        },
        rel=1e-12,
    )


def test_every_number_of_every_preset_has_unit_and_source():
    for name in preset_names():
        for key, entry in preset_text(name).items():
            if key not in ("name", "dataflow", "based_on"):
                assert set(entry) == {"value", "unit", "source"} and entry["unit"] and entry["source"], (name, key)


def test_a_dataflow_of_your_own_is_read_from_json(tmp_path, monkeypatch):
    monkeypatch.setattr(hardware, "_DATAFLOWS", dict(hardware._DATAFLOWS))

    @dataclasses.dataclass(frozen=True)
    class Serial(Hardware):
        mac_nj: float
        dataflow = "serial"

        def layer_costs(self, shape, bits, execution):
            macs = shape.macs * execution.batch
            return [LayerCost(macs, macs * w * a, 0, {"total": self.mac_nj * macs, "core": 0.0}) for w, a in bits]

    path = tmp_path / "serial.json"
    path.write_text(
        json.dumps({"name": "mine", "dataflow": "serial", "max_bits": 4, "frequency_hz": 1e6, "mac_nj": 0.5})
    )
    shape = LayerShape("conv", "conv2d", (3, 3), in_channels=2)
    report = simulate_layer(shape, 3, 4, Hardware.from_json(path), batch=2)
    assert (report.total_cycles, report.energy_nj["total"]) == (2 * 18 * 12, 18.0)
    with pytest.raises(ValueError, match="`weight_bits` must be an integer from 1 to 4"):
        simulate_layer(shape, 5, 4, Hardware.from_json(path))
    with pytest.raises(TypeError, match="abstract"):
        Hardware("none", 8, 1.0)


def test_energies_of_the_preset_are_those_of_its_banks():
    read, write = sram_energy_nj_per_bit(64 * 1024 // (16 * 32))
    assert (BIT_FUSION.weight_buffer_read_nj_per_bit, BIT_FUSION.weight_buffer_write_nj_per_bit) == (read, write)
    read, write = sram_energy_nj_per_bit(32 * 1024 // 16)
    assert (BIT_FUSION.input_buffer_read_nj_per_bit, BIT_FUSION.input_buffer_write_nj_per_bit) == (read, write)
    read, write = sram_energy_nj_per_bit(16 * 1024 // 32, read_write_ports=1)
    assert (BIT_FUSION.output_buffer_read_nj_per_bit, BIT_FUSION.output_buffer_write_nj_per_bit) == (read, write)


def test_resize_derives_energies_from_the_banks():
    resized = BIT_FUSION.resize(input_lanes=32, weight_buffer_bytes=262144)
    assert resized.core_nj_per_cycle == pytest.approx(2 * 0.235104)
    assert resized.weight_buffer_read_nj_per_bit == pytest.approx(0.0232915e-3, rel=1e-12)  # 256 bytes a bank
    assert resized.weight_buffer_write_nj_per_bit == pytest.approx(0.0394184375e-3, rel=1e-12)
    assert resized.input_buffer_read_nj_per_bit == pytest.approx(0.03541375e-3, rel=1e-12)  # 1024 bytes
    assert resized.output_buffer_read_nj_per_bit == BIT_FUSION.output_buffer_read_nj_per_bit
    assert BIT_FUSION.resize() == BIT_FUSION


def test_resize_keeps_energies_of_unchanged_banks_and_those_given():
    custom = dataclasses.replace(BIT_FUSION, output_buffer_read_nj_per_bit=1.0, core_nj_per_cycle=2.0)
    resized = custom.resize(input_lanes=32, input_buffer_bytes=65536, weight_buffer_bytes=131072)
    assert resized.output_buffer_read_nj_per_bit == 1.0
    assert resized.input_buffer_read_nj_per_bit == BIT_FUSION.input_buffer_read_nj_per_bit
    assert resized.core_nj_per_cycle == 4.0
    odd = BIT_FUSION.resize(
        weight_buffer_bytes=1000, weight_buffer_read_nj_per_bit=0.5, weight_buffer_write_nj_per_bit=0.25
    )
    assert (odd.weight_buffer_read_nj_per_bit, odd.weight_buffer_write_nj_per_bit) == (0.5, 0.25)


def test_bank_without_an_entry_lists_what_there_is():
    with pytest.raises(
        ValueError, match="banks of 64 bytes. Bank sizes in the table, bytes: 128, 256, .*131072"
    ) as error:
        BIT_FUSION.resize(weight_buffer_bytes=32768)
    assert "`weight_buffer_read_nj_per_bit`" in str(error.value)
    with pytest.raises(ValueError, match="`input_buffer_bytes` must divide into 16 banks. Received: 1000"):
        BIT_FUSION.resize(input_buffer_bytes=1000)
    with pytest.raises(ValueError, match=r"Unknown fields of Hardware: \['lanes'\]"):
        BIT_FUSION.resize(lanes=3)
    with pytest.raises(ValueError, match="`read_write_ports` must be one of 0, 1"):
        sram_energy_nj_per_bit(128, read_write_ports=2)


def test_file_of_numbers_or_of_sourced_numbers(tmp_path):
    plain, sourced = tmp_path / "plain.json", tmp_path / "sourced.json"
    plain.write_text(json.dumps(dataclasses.asdict(BIT_FUSION)))
    sourced.write_text(json.dumps(preset_text()))
    assert Hardware.from_json(plain) == Hardware.from_json(str(sourced)) == BIT_FUSION


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dram_nj_per_bit": None}, "file .* lacks `dram_nj_per_bit`"),
        (
            {"dram_nj_per_bit": {"value": -1, "unit": "nJ/bit", "source": "none"}},
            "`dram_nj_per_bit` must be a finite number at least 0. Received: -1",
        ),
        (
            {"dram_nj_per_bit": {"value": 15, "unit": "pJ/bit", "source": "none"}},
            "`dram_nj_per_bit` must be in nJ/bit. Received: 'pJ/bit'",
        ),
        (
            {"weight_buffer_bytes": {"value": 64, "unit": "KB", "source": "none"}},
            "`weight_buffer_bytes` must be in byte",
        ),
        ({"input_lanes": {"unit": "rows"}}, "`input_lanes` lacks its `value`"),
        ({"input_lanes": 0}, "`input_lanes` must be a positive integer. Received: 0"),
        ({"input_lanes": 16.0}, "`input_lanes` must be a positive integer. Received: 16.0"),
        ({"core_nj_per_cycle": float("nan")}, "`core_nj_per_cycle` must be a finite number"),
        ({"core_nj_per_cycle": "1"}, "`core_nj_per_cycle` must be a finite number"),
        ({"frequency_hz": 0}, "`frequency_hz` must be a finite number above 0"),
        ({"min_bits": 16}, "`min_bits` must not exceed `max_bits`. Received: 16 and 8"),
        ({"dram_nj_per_bit": {"value": 15, "unit": "nJ/bit"}}, "`dram_nj_per_bit`: `source` must be a text"),
        ({"dram_nj_per_bit": {"value": 15, "source": ""}}, "`source` must be a text .* Say where the number is from"),
        ({"output_bits": 16}, "`output_bits` must be one of 32, 'reader'. Received: 16"),
        ({"dataflow": "analog"}, "`dataflow` must be one of 'bit_fusion', .*Received: 'analog'"),
        ({"based_on": "tpu"}, "`based_on` must be one of 'bit_fusion', .*Received: 'tpu'"),
        ({"lanes": 3}, "unknown keys: lanes. Known keys: name, max_bits"),
    ],
)
def test_bad_files_name_the_key(tmp_path, change, message):
    content = preset_text() | change
    content = {key: value for key, value in content.items() if value is not None}
    path = tmp_path / "hardware.json"
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=message):
        Hardware.from_json(path)


def test_a_file_may_change_a_few_numbers_of_a_preset(tmp_path):
    path = tmp_path / "narrow.json"
    path.write_text(json.dumps({"based_on": "bit_fusion", "name": "narrow", "dram_bits_per_cycle": 64}))
    assert Hardware.from_json(path) == dataclasses.replace(BIT_FUSION, name="narrow", dram_bits_per_cycle=64)
    reader = Hardware.from_preset("bit_fusion_reader")
    assert reader == dataclasses.replace(BIT_FUSION, name="bit_fusion_reader", output_bits="reader")


def test_files_that_are_no_hardware(tmp_path):
    path = tmp_path / "hardware.json"
    path.write_text("{")
    with pytest.raises(ValueError, match="is not JSON"):
        Hardware.from_json(path)
    path.write_text("[]")
    with pytest.raises(ValueError, match="must be a JSON object. Received: list"):
        Hardware.from_json(path)


def test_unknown_preset_lists_the_presets():
    with pytest.raises(
        ValueError, match="`name` must be one of 'bit_fusion', .*Received: 'tpu'. Describe other hardware in a file"
    ):
        Hardware.from_preset("tpu")


def test_factor_of_each_operand():
    assert [BIT_FUSION.fusion_factor(8, bits) for bits in range(1, 9)] == [4, 4, 2, 2, 1, 1, 1, 1]
    assert [BIT_FUSION.fusion_factor(bits, 8) for bits in range(1, 9)] == [4, 4, 2, 2, 1, 1, 1, 1]


def test_factors_multiply():
    assert BIT_FUSION.fusion_factor(2, 2) == 16
    assert BIT_FUSION.fusion_factor(4, 2) == 8


@pytest.mark.parametrize(("max_bits", "min_bits", "factor"), [(4, 2, 4), (8, 4, 4), (8, 8, 1), (8, 1, 64)])
def test_factor_follows_the_hardware(max_bits, min_bits, factor):
    hardware = dataclasses.replace(BIT_FUSION, max_bits=max_bits, min_bits=min_bits)
    assert hardware.fusion_factor(1, 1) == factor
