"""The bits of each layer, as a JSON record."""

import dataclasses
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tfmp.annotations import KerasModel
from tfmp.checks import check_instance, check_integers, check_text
from tfmp.files.json_record import JsonRecord


@dataclasses.dataclass(frozen=True)
class BitAssignment:
    """Weight and activation bits of every searched layer, by the layer names of the user's model.

    Args:
        bits: Layer name to `(weight_bits, activation_bits)`.
        costs: Cost name to the value of the whole network under this assignment, in the cost's unit.
        provenance: How it was found: strategy, budget, versions; any JSON values.

    Example:
        >>> assignment = BitAssignment({"conv1": (2, 4)})
        >>> BitAssignment.from_json(assignment.to_json()) == assignment
        True
    """

    bits: Mapping[str, tuple[int, int]]
    costs: Mapping[str, float] = dataclasses.field(default_factory=dict)
    provenance: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        check_instance("bits", self.bits, Mapping, "a mapping of layer names to pairs of integers")
        for name in ("costs", "provenance"):
            check_instance(name, getattr(self, name), Mapping, "a mapping")
        checked = {}
        for name, pair in self.bits.items():
            where = f"Layer `{check_text('bits', name, hint='Layers are named by texts')}`"
            bounds = {"count": 2, "at_least": 1, "at_most": 32}
            checked[name] = check_integers("bits", pair, **bounds, hint="Give those of the weights first", where=where)
        object.__setattr__(self, "bits", checked)

    @classmethod
    def uniform(cls, layers: KerasModel | Iterable[str], weight_bits: int, activation_bits: int) -> "BitAssignment":
        """Returns an assignment of the same bits to every layer.

        Args:
            layers: A relaxed model; a float model, for the layers that `tfmp.relax` searches by default; or names of
                layers.
            weight_bits: Integer from 1 to 32.
            activation_bits: Integer from 1 to 32.

        Raises:
            ValueError: If bits are out of range, or the model has no layer that is searched.
            TypeError: If `layers` is neither a model nor a list of names.

        Example:
            >>> BitAssignment.uniform(["conv1", "conv2"], 8, 4).bits
            {'conv1': (8, 4), 'conv2': (8, 4)}
        """
        if isinstance(layers, str):
            raise TypeError(f"`layers` must be a model or a list of names. Received: {layers!r}. Give `[{layers!r}]`.")
        if not isinstance(layers, Iterable):
            # Through the package, which is already loaded: this module must not import anything that imports Keras.
            layers = sys.modules["tfmp"].searched_layers(layers)
        return cls(dict.fromkeys(layers, (weight_bits, activation_bits)))

    @classmethod
    def of(cls, assignment: "BitAssignment | Mapping[str, tuple[int, int]]") -> "BitAssignment":
        """Returns the assignment itself, or one made from a mapping.

        Raises:
            TypeError: If it is neither.
        """
        check_instance(
            "assignment", assignment, (cls, Mapping), "a `BitAssignment`, or a mapping of layer names to pairs"
        )
        return assignment if isinstance(assignment, BitAssignment) else cls(assignment)

    def __getitem__(self, layer_name: str) -> tuple[int, int]:
        return self.bits[layer_name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.bits)

    def __len__(self) -> int:
        return len(self.bits)

    def __str__(self) -> str:
        width = max([len(name) for name in self.bits], default=0)
        return "\n".join(
            f"{name:<{width}}  W{weight} A{activation}" for name, (weight, activation) in self.bits.items()
        )

    def to_json(self, path: str | os.PathLike[str] | None = None, *, overwrite: bool = False) -> str:
        """Returns the assignment as JSON and, given a path, writes it there.

        Raises:
            FileExistsError: If the file exists and `overwrite` is False.
        """
        content = {
            "bits": {name: list(pair) for name, pair in self.bits.items()},
            "costs": dict(self.costs),
            "provenance": dict(self.provenance),
        }
        return _RECORD.write(content, path, overwrite=overwrite)

    @classmethod
    def from_json(cls, source: str | os.PathLike[str]) -> "BitAssignment":
        """Reads an assignment from a path or from the JSON text itself.

        Raises:
            ValueError: If it is not an assignment, or has a newer version.
        """
        return _RECORD.read(
            source, lambda content: cls(content["bits"], content.get("costs", {}), content.get("provenance", {}))
        )


_RECORD = JsonRecord("tfmp.BitAssignment", "a bit assignment", "`BitAssignment.to_json`", needed=("bits",))
