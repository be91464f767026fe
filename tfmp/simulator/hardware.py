"""Parameters of an accelerator, as a JSON record, and the bit-widths that its fusion units support."""

import dataclasses
import functools
import importlib.resources
import json
import os
from typing import Any

from tfmp.checks import check_choice, check_instance, check_integer, check_number, check_path, check_text
from tfmp.files.json_record import read_json
from tfmp.registry import Registry
from tfmp.simulator.sram import sram_energy_nj_per_bit


@dataclasses.dataclass(frozen=True)
class Hardware:
    """A systolic array of bit-composable fusion units, its three buffers and its memory.

    Args:
        name: Name that reports print.
        input_lanes: Rows of the array, N: fusion units along the reduction.
        output_lanes: Columns of the array, M: fusion units along the output channels.
        max_bits: Widest operand, bits.
        min_bits: Narrowest operand, bits; fewer bits compute at this width and move at their own.
        frequency_hz: Clock of the array, Hz.
        dram_bits_per_cycle: Bandwidth of the memory, bits per cycle, shared by reads and writes.
        weight_buffer_bytes: Size of the weight buffer, bytes, of which double buffering leaves half for a tile.
        input_buffer_bytes: Size of the input buffer, bytes, halved in the same way.
        output_buffer_bytes: Size of the output buffer, bytes, halved in the same way.
        core_nj_per_cycle: Energy of the whole array in a cycle in which it computes, nJ.
        weight_buffer_read_nj_per_bit: Energy to read a bit from the weight buffer, nJ.
        weight_buffer_write_nj_per_bit: Energy to write a bit to it, nJ.
        input_buffer_read_nj_per_bit: Energy to read a bit from the input buffer, nJ.
        input_buffer_write_nj_per_bit: Energy to write a bit to it, nJ.
        output_buffer_read_nj_per_bit: Energy to read a bit from the output buffer, nJ.
        output_buffer_write_nj_per_bit: Energy to write a bit to it, nJ.
        dram_nj_per_bit: Energy to read or write a bit of memory, nJ.

    Raises:
        ValueError: If a size is not a positive integer, an energy is negative, or `min_bits` exceeds `max_bits`.

    Example:
        >>> hardware = Hardware.from_preset("bit_fusion").resize(input_lanes=32, weight_buffer_bytes=131072)

    Reference: Sharma et al., Bit Fusion, 2018, https://arxiv.org/abs/1712.01507
    """

    name: str
    input_lanes: int
    output_lanes: int
    max_bits: int
    min_bits: int
    frequency_hz: float
    dram_bits_per_cycle: int
    weight_buffer_bytes: int
    input_buffer_bytes: int
    output_buffer_bytes: int
    core_nj_per_cycle: float
    weight_buffer_read_nj_per_bit: float
    weight_buffer_write_nj_per_bit: float
    input_buffer_read_nj_per_bit: float
    input_buffer_write_nj_per_bit: float
    output_buffer_read_nj_per_bit: float
    output_buffer_write_nj_per_bit: float
    dram_nj_per_bit: float

    def __post_init__(self) -> None:
        check_text("name", self.name, where="Hardware")
        for field in dataclasses.fields(self):
            if field.name != "name":
                value = _checked_number(self.name, field.name, getattr(self, field.name), is_integer=field.type is int)
                object.__setattr__(self, field.name, value)
        if self.min_bits > self.max_bits:
            raise ValueError(
                f"Hardware `{self.name}`: `min_bits` must not exceed `max_bits`. "
                f"Received: {self.min_bits} and {self.max_bits}"
            )

    @classmethod
    def of(cls, hardware: "Hardware | str") -> "Hardware":
        """Returns hardware, given as an object or as the name of a preset.

        Raises:
            TypeError: If it is neither.
        """
        if isinstance(hardware, str):
            return cls.from_preset(hardware)
        return check_instance("hardware", hardware, Hardware, "a `tfmp.simulator.Hardware`, or the name of a preset")

    @classmethod
    def from_preset(cls, name: str) -> "Hardware":
        """Returns hardware that comes with the library, or was given to `register_preset`.

        Args:
            name: One of `preset_names()`.

        Raises:
            ValueError: If there is no preset of this name.
        """
        check_choice("name", name, preset_names(), hint="Describe other hardware in a file for `Hardware.from_json`")
        return _presets().get(name)

    @classmethod
    def from_json(cls, path: str | os.PathLike[str]) -> "Hardware":
        """Loads hardware from a JSON object with every field of this class.

        A field is a number, or an object with `value`, `unit` and `source` like those of the presets.

        Raises:
            ValueError: If the file is not such JSON, or a field is missing, unknown, not a number, negative or in
                another unit than this class documents; the message names the field.
        """
        origin = f"file {os.fspath(check_path('path', path))!r}"
        return _from_json(read_json(path, f"Hardware {origin}"), origin)

    def resize(self, **fields: Any) -> "Hardware":
        """A copy with some fields changed and the energies that depend on them derived, at 45 nm.

        A buffer whose banks change size takes its energies from the SRAM table: the weight buffer has N * M banks, the
        input buffer N, the output buffer M with one port more. `core_nj_per_cycle` grows with N * M. Energies among
        `fields` are taken as they are.

        Raises:
            ValueError: If a field is unknown, a buffer does not divide into its banks, or the table has no such bank.
        """
        known = {field.name for field in dataclasses.fields(self)}
        if set(fields) - known:
            raise ValueError(f"Unknown fields of Hardware: {sorted(set(fields) - known)}. Fields: {sorted(known)}")
        resized = dataclasses.replace(self, **fields)
        units, units_before = (each.input_lanes * each.output_lanes for each in (resized, self))
        derived = {"core_nj_per_cycle": self.core_nj_per_cycle * units / units_before}
        for buffer in ("weight_buffer", "input_buffer", "output_buffer"):
            keys = f"{buffer}_read_nj_per_bit", f"{buffer}_write_nj_per_bit"
            banks, ports = _banks(resized, buffer)
            size = getattr(resized, f"{buffer}_bytes")
            same_bank = size * _banks(self, buffer)[0] == getattr(self, f"{buffer}_bytes") * banks
            if same_bank or all(key in fields for key in keys):
                continue
            if size % banks:
                raise ValueError(
                    f"Hardware `{self.name}`: `{buffer}_bytes` must divide into {banks} banks. Received: {size}. "
                    f"Choose a multiple of {banks}, or give `{keys[0]}` and `{keys[1]}`."
                )
            try:
                derived.update(zip(keys, sram_energy_nj_per_bit(size // banks, ports), strict=True))
            except ValueError as error:
                raise ValueError(
                    f"Hardware `{self.name}`: {buffer}, {size} bytes in {banks} banks: {error} "
                    f"The fields are `{keys[0]}` and `{keys[1]}`."
                ) from error
        return dataclasses.replace(resized, **(derived | fields))


def preset_names() -> tuple[str, ...]:
    """Returns the names of all presets."""
    return _presets().names()


def register_preset(hardware: Hardware) -> Hardware:
    """Registers hardware as a preset under its `name`, for costs, reports and commands; returns it.

    Args:
        hardware: The hardware.

    Raises:
        TypeError: If it is not a `Hardware`.
        ValueError: If the name is that of other hardware.

    Example:
        >>> wide = Hardware.from_preset("bit_fusion").resize(name="wide", input_lanes=32, weight_buffer_bytes=131072)
        >>> register_preset(wide).input_lanes
        32
    """
    check_instance("hardware", hardware, Hardware, "a `tfmp.simulator.Hardware`")
    return _presets().register(hardware)


@functools.cache
def _presets() -> Registry:
    """Returns the presets by name; those of the library are read from their files."""
    registry = Registry("hardware", Hardware, "a `tfmp.simulator.Hardware`")
    folder = importlib.resources.files("tfmp.simulator").joinpath("presets")
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        if file.name.endswith(".json"):
            name = file.name.removesuffix(".json")
            registry.register(_from_json(json.loads(file.read_text(encoding="utf-8")), f"preset `{name}`"), name)
    return registry


def _banks(hardware: Hardware, buffer: str) -> tuple[int, int]:
    """Returns the number of banks of a buffer, and the number of their read/write ports."""
    rows, columns = hardware.input_lanes, hardware.output_lanes
    return {"weight_buffer": (rows * columns, 0), "input_buffer": (rows, 0), "output_buffer": (columns, 1)}[buffer]


def _from_json(content: Any, origin: str) -> Hardware:
    if not isinstance(content, dict):
        raise ValueError(f"Hardware {origin} must be a JSON object. Received: {type(content).__name__}")
    names = [field.name for field in dataclasses.fields(Hardware)]
    missing, unknown = (sorted(set(a) - set(b)) for a, b in ((names, content), (content, names)))
    if missing:
        raise ValueError(f"Hardware {origin} lacks {', '.join(f'`{key}`' for key in missing)}.")
    if unknown:
        raise ValueError(f"Hardware {origin} has unknown keys: {', '.join(unknown)}. Known keys: {', '.join(names)}")
    return Hardware(**{key: _value(key, entry, origin) for key, entry in content.items()})


def _value(key: str, entry: Any, origin: str) -> Any:
    if not isinstance(entry, dict):
        return entry
    if "value" not in entry:
        raise ValueError(f"Hardware {origin}: `{key}` lacks its `value`.")
    for ending, unit in _UNITS.items():
        if key.endswith(ending) and entry.get("unit", unit) != unit:
            raise ValueError(f"Hardware {origin}: `{key}` must be in {unit}. Received: {entry['unit']!r}")
    return entry["value"]


_UNITS = {
    "_nj_per_bit": "nJ/bit",
    "_nj_per_cycle": "nJ/cycle",
    "_bytes": "byte",
    "_hz": "Hz",
    "max_bits": "bit",
    "min_bits": "bit",
    "_bits_per_cycle": "bit/cycle",
}


def _checked_number(hardware: str, key: str, value: Any, *, is_integer: bool) -> int | float:
    where = f"Hardware `{hardware}`"
    if is_integer:
        return check_integer(key, value, at_least=1, where=where)
    if key == "frequency_hz":
        return check_number(key, value, above=0, where=where)
    return check_number(key, value, at_least=0, where=where)


def fusion_factor(weight_bits: int, activation_bits: int, hardware: Hardware) -> int:
    """Returns the number of products that one fusion unit computes in a cycle.

    pf = (pmax // max(activation_bits, pmin)) * (pmax // max(weight_bits, pmin))

    With pmax = 8 and pmin = 2, an operand of at most 2 bits contributes 4, one of 3 or 4 bits 2, a wider one 1.
    """
    per_weight = hardware.max_bits // max(weight_bits, hardware.min_bits)
    per_activation = hardware.max_bits // max(activation_bits, hardware.min_bits)
    return per_weight * per_activation


def check_bits(weight_bits: int, activation_bits: int, hardware: Hardware, layer_name: str) -> None:
    """Checks that the array computes with these widths.

    Raises:
        ValueError: If a width is not an integer from 1 to `hardware.max_bits`.
    """
    for operand, bits in (("weight_bits", weight_bits), ("activation_bits", activation_bits)):
        hint = f"Choose as many bits as operands of `{hardware.name}` have, or hardware with more `max_bits`"
        where = f"Layer `{layer_name}`"
        check_integer(operand, bits, at_least=1, at_most=hardware.max_bits, hint=hint, where=where)
