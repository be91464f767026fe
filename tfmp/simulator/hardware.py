"""Base class of simulated machines, their JSON records, and the presets."""

import abc
import dataclasses
import functools
import importlib.resources
import json
import os
from collections.abc import Sequence
from typing import Any, ClassVar

from tfmp.checks import check_choice, check_instance, check_integer, check_number, check_path, check_text
from tfmp.files.json_record import read_json
from tfmp.graph import LayerShape
from tfmp.registry import Registry
from tfmp.simulator.layer_cost import Execution, LayerCost

_EXPECTED = "a `tfmp.simulator.Hardware`"
_DATAFLOWS: dict[str, type["Hardware"]] = {}  # by the key "dataflow" of JSON records


@dataclasses.dataclass(frozen=True)
class Hardware(abc.ABC):
    """Base class of machines: their numbers as fields, and the dataflow that prices a layer with them.

    A machine of your own is a frozen dataclass that subclasses this class, sets `dataflow` and defines `layer_costs`;
    JSON files can then hold its numbers. Integer fields must be positive, other numbers must not be negative.

    Args:
        name: Name that reports print.
        max_bits: Widest operand, bits.
        frequency_hz: Clock, Hz. It turns cycles into milliseconds.

    Attributes:
        dataflow: Name of the class in JSON records.
        depthwise_encodings: How the machine can run depthwise layers; the first is the default. `"grouped"`: as they
            are, group after group.

    Raises:
        ValueError: If a number is not of its kind.

    Example:
        >>> Hardware.from_preset("eyeriss").dataflow
        'row_stationary'
    """

    name: str
    max_bits: int
    frequency_hz: float

    dataflow: ClassVar[str]
    depthwise_encodings: ClassVar[tuple[str, ...]] = ("grouped",)

    def __init_subclass__(cls) -> None:
        if "dataflow" in vars(cls):
            _DATAFLOWS[cls.dataflow] = cls

    def __post_init__(self) -> None:
        check_text("name", self.name, where="Hardware")
        for field in dataclasses.fields(self):
            if field.type in (int, float):
                value = _checked_number(self.label, field, getattr(self, field.name))
                object.__setattr__(self, field.name, value)

    @property
    def label(self) -> str:
        """What errors call it."""
        return f"Hardware `{self.name}`"

    @abc.abstractmethod
    def layer_costs(
        self, shape: LayerShape, bits: Sequence[tuple[int, int]], execution: Execution
    ) -> Sequence[LayerCost]:
        """Returns the cost of a layer at each pair of bits.

        Args:
            shape: The layer.
            bits: Pairs (weight_bits, activation_bits), each from 1 to `max_bits`.
            execution: Batch, objective and encoding of depthwise layers.

        Raises:
            ValueError: If the machine cannot run the layer; the caller adds the name of the layer.
        """

    @classmethod
    def of(cls, hardware: "Hardware | str") -> "Hardware":
        """Returns hardware, given as an object or as the name of a preset.

        Raises:
            TypeError: If it is neither.
        """
        if isinstance(hardware, str):
            return cls.from_preset(hardware)
        return check_instance("hardware", hardware, Hardware, f"{_EXPECTED}, or the name of a preset")

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
        """Loads hardware from a JSON object with the fields of a machine.

        `"dataflow"` names the machine's class: `"bit_fusion"` (also if it is absent), `"row_stationary"` or
        `"software_kernels"`. Instead, `"based_on"` may name a preset, whose fields the others then replace. A field is
        a number of your own, or an object with `value`, `unit` and `source` like those of the presets.

        Raises:
            ValueError: If the file is not such JSON, or a field is missing, unknown, negative, without a source, or in
                another unit than its class documents; the message names the field.
        """
        origin = f"file {os.fspath(check_path('path', path))!r}"
        return _from_record(read_json(path, f"Hardware {origin}"), origin)

    def check_bits(self, weight_bits: int, activation_bits: int, layer_name: str) -> None:
        """Raises a `ValueError` for bits that the machine does not compute."""
        for key, bits in (("weight_bits", weight_bits), ("activation_bits", activation_bits)):
            hint = f"`{self.name}` computes no others"
            check_integer(key, bits, at_least=1, at_most=self.max_bits, hint=hint, where=f"Layer `{layer_name}`")


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
    check_instance("hardware", hardware, Hardware, _EXPECTED)
    return _presets().register(hardware)


@functools.cache
def _presets() -> Registry:
    """Returns the presets by name; those of the library are read from their files."""
    registry = Registry("hardware", Hardware, _EXPECTED)
    for name in _preset_files():
        registry.register(_from_record(_preset_record(name), f"preset `{name}`"), name)
    return registry


def _preset_files() -> list[str]:
    folder = importlib.resources.files("tfmp.simulator").joinpath("presets")
    return sorted(file.name.removesuffix(".json") for file in folder.iterdir() if file.name.endswith(".json"))


def _preset_record(name: str) -> Any:
    path = importlib.resources.files("tfmp.simulator").joinpath("presets", f"{name}.json")
    return json.loads(path.read_text(encoding="utf-8"))


def _from_record(content: Any, origin: str) -> Hardware:
    if not isinstance(content, dict):
        raise ValueError(f"Hardware {origin} must be a JSON object. Received: {type(content).__name__}")
    if "based_on" in content:
        base = check_choice("based_on", content["based_on"], _preset_files(), where=f"Hardware {origin}")
        content = _preset_record(base) | {key: entry for key, entry in content.items() if key != "based_on"}
    content = {"dataflow": "bit_fusion", **content}  # which files before the other machines do not say
    kind = _DATAFLOWS[check_choice("dataflow", content.pop("dataflow"), _DATAFLOWS, where=f"Hardware {origin}")]
    fields = dataclasses.fields(kind)
    names = [field.name for field in fields]
    needed = [field.name for field in fields if field.default is dataclasses.MISSING]
    missing, unknown = (sorted(set(a) - set(b)) for a, b in ((needed, content), (content, names)))
    if missing:
        raise ValueError(f"Hardware {origin} lacks {', '.join(f'`{key}`' for key in missing)}.")
    if unknown:
        raise ValueError(f"Hardware {origin} has unknown keys: {', '.join(unknown)}. Known keys: {', '.join(names)}")
    return kind(**{key: _value(key, entry, origin) for key, entry in content.items()})


def _value(key: str, entry: Any, origin: str) -> Any:
    if not isinstance(entry, dict):
        return entry
    if "value" not in entry:
        raise ValueError(f"Hardware {origin}: `{key}` lacks its `value`.")
    check_text("source", entry.get("source"), hint="Say where the number is from", where=f"Hardware {origin}, `{key}`")
    for ending, unit in _UNITS.items():
        if key.endswith(ending) and entry.get("unit", unit) != unit:
            raise ValueError(f"Hardware {origin}: `{key}` must be in {unit}. Received: {entry['unit']!r}")
    return entry["value"]


_UNITS = {
    "_nj_per_bit": "nJ/bit",
    "_nj_per_cycle": "nJ/cycle",
    "_nj": "nJ",
    "_mw": "mW",
    "_bytes": "byte",
    "_hz": "Hz",
    "max_bits": "bit",
    "min_bits": "bit",
    "_bits_per_cycle": "bit/cycle",
}


def _checked_number(where: str, field: dataclasses.Field[Any], value: Any) -> int | float:
    if field.type is int:
        return check_integer(field.name, value, at_least=1, where=where)
    if field.name == "frequency_hz":
        return check_number(field.name, value, above=0, where=where)
    return check_number(field.name, value, at_least=0, where=where)
