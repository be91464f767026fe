"""A price list of the user's own."""

import csv
import json
import os
import pathlib
from collections.abc import Mapping

import numpy as np

from tfmp.costs.checked_price import checked_price
from tfmp.costs.cost import Cost

_COLUMNS = ["layer", "weight_bits", "activation_bits"]


class Table(Cost):
    """What each layer costs at each pair of bits, as it was measured or was agreed on.

    Args:
        layers: Layer name to a mapping of `(weight_bits, activation_bits)` to a number; or to an array, with a row for
            each of `weight_bits` and a column for each of `activation_bits`. A layer that is called several times costs
            its entry once. Floating point has 32 bits.
        unit: Of every number, `"ms"` for example.
        name: Of the cost, in logs and reports.
        weight_bits: Bits of the rows of arrays.
        activation_bits: Bits of the columns of arrays.
        others: What a layer that is not in the table costs at any bits; None makes it an error.

    Raises:
        ValueError: If a number is negative or not finite, or an array does not fit its bits. In `table`: if a layer or
            a pair of bits is missing. All name the layer.

    Example:
        >>> cost = Table({"conv": {(4, 8): 0.5, (8, 8): 0.75}}, unit="ms")
    """

    per_call = False

    def __init__(self, layers, *, unit, name="table", weight_bits=None, activation_bits=None, others=None):
        if not isinstance(layers, Mapping) or not layers:
            raise TypeError(f"Table `{name}`: expected a mapping of layer names to prices. Received: {layers!r}")
        self.name, self.unit = name, unit
        self._others = None if others is None else checked_price(others, f"Table `{name}`, other layers")
        bits = weight_bits, activation_bits
        self._prices = {str(layer): self._entries(layer, prices, bits) for layer, prices in layers.items()}

    def _entries(self, layer, prices, bits):
        where = f"Table `{self.name}`, layer `{layer}`"
        if isinstance(prices, Mapping):
            pairs = {_pair(key, where): value for key, value in prices.items()}
        elif None in bits:
            raise ValueError(
                f"{where}: an array needs `weight_bits` and `activation_bits`, the bits of its rows and columns. "
                "Give them, or a mapping of (weight_bits, activation_bits) to prices."
            )
        else:
            array, expected = np.asarray(prices, object), tuple(len(each) for each in bits)
            if array.shape != expected:
                raise ValueError(
                    f"{where}: expected an array of shape {expected}, for weight_bits={tuple(bits[0])} and "
                    f"activation_bits={tuple(bits[1])}. Received: {array.shape}"
                )
            pairs = {(w, a): array[i, j] for i, w in enumerate(bits[0]) for j, a in enumerate(bits[1])}
        return {pair: checked_price(value, f"{where} at W{pair[0]} A{pair[1]}") for pair, value in pairs.items()}

    def table(self, shape, weight_formats, activation_formats):
        return np.array(
            [
                [self._price(shape.name, weight.bits, activation.bits) for activation in activation_formats]
                for weight in weight_formats
            ]
        )

    def _price(self, layer, weight_bits, activation_bits):
        prices = self._prices.get(layer)
        if prices is None and self._others is not None:
            return self._others
        if prices is None:
            raise ValueError(
                f"Table `{self.name}` has no layer `{layer}`. It has: {', '.join(self._prices)}. Add the layer, or say "
                "by `others=` what the layers cost that are not in it."
            )
        if (weight_bits, activation_bits) not in prices:
            raise ValueError(
                f"Table `{self.name}`, layer `{layer}`: no price for W{weight_bits} A{activation_bits}. It has: "
                f"{', '.join(f'W{w} A{a}' for w, a in prices)}. Add the price, or take other bits."
            )
        return prices[weight_bits, activation_bits]

    @classmethod
    def from_file(cls, path: str | os.PathLike) -> "Table":
        """Reads a table whose name is that of the file.

        - JSON: an object with the arguments, of which pairs of bits are texts:
          `{"unit": "ms", "layers": {"conv": {"4,8": 0.5, "8,8": 0.75}}}`.
        - CSV: columns `layer`, `weight_bits`, `activation_bits` and one more, whose name is the unit.

        Raises:
            ValueError: If the file holds no table.
        """
        path = pathlib.Path(path)
        try:
            with open(path, encoding="utf-8", newline="") as file:
                content = _from_csv(file) if path.suffix == ".csv" else json.load(file)
            if not isinstance(content, dict) or not {"unit", "layers"} <= set(content):
                raise ValueError("expected `unit` and `layers`")
            return cls(**{"name": path.stem, **content})
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(f"{os.fspath(path)!r} is no table of costs: {error}") from error


def _from_csv(file):
    rows = csv.DictReader(file)
    columns = rows.fieldnames or []
    if len(columns) != 4 or columns[:3] != _COLUMNS:
        raise ValueError(f"expected the columns {', '.join(_COLUMNS)} and one that is named after the unit")
    layers = {}
    for row in rows:
        pair = int(row["weight_bits"]), int(row["activation_bits"])
        layers.setdefault(row["layer"], {})[pair] = float(row[columns[3]])
    return {"unit": columns[3], "layers": layers}


def _pair(key, where):
    try:
        weight_bits, activation_bits = (int(bits) for bits in (key.split(",") if isinstance(key, str) else key))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: expected pairs (weight_bits, activation_bits). Received: {key!r}") from error
    return weight_bits, activation_bits
