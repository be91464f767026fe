"""A cost defined by a table of numbers."""

import csv
import io
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfmp.checks import check_instance, check_integers, check_number, check_path, check_text
from tfmp.costs.cost import Cost
from tfmp.files.json_record import parse_json, read_text
from tfmp.graph import CodeFormat, LayerShape

_COLUMNS = ["layer", "weight_bits", "activation_bits"]


class Table(Cost):
    """A cost from a table of measured or given numbers, for each layer and each pair of bits.

    Args:
        layers: Layer name to a mapping of `(weight_bits, activation_bits)` to a number; or to an array, with one row
            per `weight_bits` and one column per `activation_bits`. A layer that is called several times costs its entry
            once. Floating point has 32 bits.
        unit: Unit of every number, `"ms"` for example.
        name: Name of the cost in logs and reports.
        weight_bits: Bits of the rows of arrays.
        activation_bits: Bits of the columns of arrays.
        others: Cost of a layer that is not in the table, at any bits; None makes it an error.

    Raises:
        ValueError: If a number is negative or not finite, or an array does not match its bits. In `table`: if a layer
            or a pair of bits is missing. All messages name the layer.

    Example:
        >>> cost = Table({"conv": {(4, 8): 0.5, (8, 8): 0.75}}, unit="ms")
    """

    per_call = False

    def __init__(
        self,
        layers: Mapping[str, Any],
        *,
        unit: str,
        name: str = "table",
        weight_bits: Sequence[int] | None = None,
        activation_bits: Sequence[int] | None = None,
        others: float | None = None,
    ):
        self.name, self.unit = check_text("name", name, where="Table"), check_text("unit", unit, where="Table")
        where = f"Table `{name}`"
        check_instance("layers", layers, Mapping, "a mapping of layer names to prices", where=where)
        if not layers:
            raise ValueError(f"{where}: `layers` must hold the prices of at least one layer. Received: {layers!r}")
        self._others = None if others is None else check_number("others", others, at_least=0, where=where)
        bits = [
            None if each is None else check_integers(key, each, at_least=1, at_most=32, where=where)
            for key, each in (("weight_bits", weight_bits), ("activation_bits", activation_bits))
        ]
        self._prices = {str(layer): self._entries(layer, prices, bits) for layer, prices in layers.items()}

    def _entries(self, layer: str, prices: Any, bits: Sequence[tuple[int, ...] | None]) -> dict[tuple[int, int], float]:
        where = f"Table `{self.name}`, layer `{layer}`"
        weight_bits, activation_bits = bits
        if isinstance(prices, Mapping):
            pairs = {_pair(key, where): value for key, value in prices.items()}
            if len(pairs) < len(prices):
                raise ValueError(f"{where}: each pair of bits must have one price. Received some twice: {list(prices)}")
        elif weight_bits is None or activation_bits is None:
            raise ValueError(
                f"{where}: an array needs `weight_bits` and `activation_bits`, the bits of its rows and columns. "
                "Give them, or a mapping of (weight_bits, activation_bits) to prices."
            )
        else:
            array, expected = np.asarray(prices, object), (len(weight_bits), len(activation_bits))
            if array.shape != expected:
                raise ValueError(
                    f"{where}: expected an array of shape {expected}, for weight_bits={weight_bits} and "
                    f"activation_bits={activation_bits}. Received: {array.shape}"
                )
            pairs = {(w, a): array[i, j] for i, w in enumerate(weight_bits) for j, a in enumerate(activation_bits)}
        return {
            pair: check_number("price", value, at_least=0, where=f"{where} at W{pair[0]} A{pair[1]}")
            for pair, value in pairs.items()
        }

    def table(
        self, shape: LayerShape, weight_formats: Sequence[CodeFormat], activation_formats: Sequence[CodeFormat]
    ) -> np.ndarray:
        return np.array(
            [
                [self._price(shape.name, weight.bits, activation.bits) for activation in activation_formats]
                for weight in weight_formats
            ]
        )

    def _price(self, layer: str, weight_bits: int, activation_bits: int) -> float:
        prices = self._prices.get(layer)
        if prices is None and self._others is not None:
            return self._others
        if prices is None:
            raise ValueError(
                f"Table `{self.name}` has no layer `{layer}`. It has: {', '.join(self._prices)}. Add the layer, or "
                "give the cost of all other layers with `others=`."
            )
        if (weight_bits, activation_bits) not in prices:
            raise ValueError(
                f"Table `{self.name}`, layer `{layer}`: no price for W{weight_bits} A{activation_bits}. It has: "
                f"{', '.join(f'W{w} A{a}' for w, a in prices)}. Add the price, or take other bits."
            )
        return prices[weight_bits, activation_bits]

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> "Table":
        """Reads a table from a file; its name is that of the file.

        - JSON: an object with the arguments, with pairs of bits as text:
          `{"unit": "ms", "layers": {"conv": {"4,8": 0.5, "8,8": 0.75}}}`.
        - CSV: columns `layer`, `weight_bits`, `activation_bits` and one more, whose name is the unit.

        Raises:
            ValueError: If the file is not a table.
        """
        path = pathlib.Path(check_path("path", path))
        try:
            text = read_text(path)
            content = _from_csv(text) if path.suffix == ".csv" else parse_json(text)
            if not isinstance(content, dict) or not {"unit", "layers"} <= set(content):
                raise ValueError("expected `unit` and `layers`")
            return cls(**{"name": path.stem, **content})
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(f"{os.fspath(path)!r} is no table of costs: {error}") from error


def _from_csv(text: str) -> dict[str, Any]:
    rows = csv.reader(io.StringIO(text, newline=""))
    columns = next(rows, [])
    if len(columns) != 4 or columns[:3] != _COLUMNS:
        raise ValueError(f"expected the columns {', '.join(_COLUMNS)} and one that is named after the unit")
    layers: dict[str, dict[tuple[int, int], float]] = {}
    for row in filter(None, rows):
        try:
            layer, weight_bits, activation_bits, text = row
            pair, price = (int(weight_bits), int(activation_bits)), float(text)
        except ValueError as error:
            expected = "a layer's name, two integers and a number"
            raise ValueError(f"line {rows.line_num}: expected {expected}. Received: {row}") from error
        prices = layers.setdefault(layer, {})
        if pair in prices:
            raise ValueError(f"line {rows.line_num}: layer `{layer}` has a price for these bits already. Keep one")
        prices[pair] = price
    return {"unit": columns[3], "layers": layers}


def _pair(key: Any, where: str) -> tuple[int, int]:
    bits = key
    if isinstance(key, str):
        parts = [part.strip() for part in key.split(",")]
        bits = tuple(map(int, parts)) if all(map(str.isdecimal, parts)) else key
    hint = "Prices belong to pairs (weight_bits, activation_bits)"
    weight_bits, activation_bits = check_integers("bits", bits, count=2, at_least=1, at_most=32, hint=hint, where=where)
    return weight_bits, activation_bits
