"""The bits that a search decided on."""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from tfmp.types.atomic_file import write_atomically

_VERSION = 1


@dataclasses.dataclass(frozen=True)
class BitAssignment:
    """Weight and activation bits of every searched layer, by the layer names of the user's model.

    Args:
        bits: Layer name to `(weight_bits, activation_bits)`.
        costs: Cost name to the value of the whole network under this assignment, in the cost's unit.
        provenance: How it came about: strategy, budget, versions; any JSON values.

    Example:
        >>> assignment = BitAssignment({"conv1": (2, 4)})
        >>> BitAssignment.from_json(assignment.to_json()) == assignment
        True
    """

    bits: Mapping[str, tuple[int, int]]
    costs: Mapping[str, float] = dataclasses.field(default_factory=dict)
    provenance: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        if not isinstance(self.bits, Mapping):
            raise TypeError(f"`bits` must map layer names to pairs of integers. Received: {self.bits!r}")
        checked = {}
        for name, pair in self.bits.items():
            if not isinstance(pair, list | tuple) or len(pair) != 2 or not all(_is_bits(value) for value in pair):
                raise ValueError(
                    f"Layer `{name}`: bits must be two integers from 1 to 32, weights first. Received: {pair!r}"
                )
            checked[str(name)] = (int(pair[0]), int(pair[1]))
        object.__setattr__(self, "bits", checked)

    def __getitem__(self, layer_name: str) -> tuple[int, int]:
        return self.bits[layer_name]

    def __iter__(self):
        return iter(self.bits)

    def __len__(self):
        return len(self.bits)

    def __str__(self):
        width = max([len(name) for name in self.bits], default=0)
        return "\n".join(
            f"{name:<{width}}  W{weight} A{activation}" for name, (weight, activation) in self.bits.items()
        )

    def to_json(self, path=None, *, overwrite=False) -> str:
        """Returns the assignment as JSON and, given a path, writes it there.

        Raises:
            FileExistsError: If the file exists and `overwrite` is False.
        """
        text = json.dumps(
            {
                "format": "tfmp.BitAssignment",
                "version": _VERSION,
                "bits": {name: list(pair) for name, pair in self.bits.items()},
                "costs": dict(self.costs),
                "provenance": dict(self.provenance),
            },
            indent=2,
        )
        if path is not None:
            write_atomically(path, text + "\n", overwrite=overwrite)
        return text

    @classmethod
    def from_json(cls, source) -> "BitAssignment":
        """Reads an assignment from a path or from the JSON text itself.

        Raises:
            ValueError: If it is no assignment, or one of a newer version.
        """
        text = str(source)
        if not text.lstrip().startswith("{"):
            with open(source, encoding="utf-8") as file:
                text = file.read()
        try:
            content = json.loads(text)
        except json.JSONDecodeError as error:
            raise ValueError(f"Expected a bit assignment in JSON. Received text that is not JSON: {error}") from error
        if not isinstance(content, dict) or content.get("format") != "tfmp.BitAssignment":
            raise ValueError(
                "Expected JSON written by `BitAssignment.to_json`. Received JSON without its `format` mark."
            )
        missing = {"version", "bits"} - set(content)
        if missing:
            raise ValueError(f"Expected a bit assignment. Received one without {', '.join(sorted(missing))}.")
        if content["version"] > _VERSION:
            raise ValueError(
                f"Expected a bit assignment of version {_VERSION} or older. Received version {content['version']}: "
                "upgrade tfmp to read it."
            )
        return cls(content["bits"], content.get("costs", {}), content.get("provenance", {}))


def _is_bits(value) -> bool:
    return hasattr(value, "__index__") and not isinstance(value, bool) and 1 <= value <= 32
