"""Pareto fronts of points with two quantities."""

import csv
import dataclasses
import io
import numbers
import os
from collections.abc import Mapping, Sequence
from typing import Any

from tfmp.checks import check_choice, check_instances, check_number, check_numbers, check_text, received
from tfmp.files.atomic_file import write_atomically
from tfmp.files.json_record import JsonRecord

DIRECTIONS = ("min", "max")


@dataclasses.dataclass(frozen=True)
class ParetoFront:
    """Points measured in two quantities, and their Pareto front.

    A point dominates another if it is at least as good in both quantities and better in one. The front has the points
    that no other point dominates.

    Args:
        points: One mapping per point, with a finite number under `x` and `y`, and any other JSON values, such as its
            id and other costs.
        x: Name of the first quantity, `"energy_nj"` for example.
        y: Name of the second.
        x_direction: `"min"` if less of `x` is better, else `"max"`.
        y_direction: The same for `y`.

    Raises:
        ValueError: If a point has no finite number for a quantity, or a direction is unknown.

    Example:
        >>> points = [{"bitops": 4, "accuracy": 0.9}, {"bitops": 2, "accuracy": 0.8}, {"bitops": 3, "accuracy": 0.7}]
        >>> [point["bitops"] for point in ParetoFront(points, "bitops", "accuracy").front]
        [2, 4]
    """

    points: Sequence[Mapping[str, Any]]
    x: str
    y: str
    x_direction: str = "min"
    y_direction: str = "max"

    def __post_init__(self) -> None:
        for name in ("x_direction", "y_direction"):
            check_choice(name, getattr(self, name), DIRECTIONS)
        for name in ("x", "y"):
            check_text(name, getattr(self, name))
        check_instances("points", self.points, Mapping, "mappings of names to values")
        if self.x == self.y:
            raise ValueError(f"`x` and `y` must be two quantities. Received: {self.x!r} twice")
        for point in self.points:
            for name in (self.x, self.y):
                _check(point, name)
        object.__setattr__(self, "points", tuple(dict(point) for point in self.points))

    @property
    def front(self) -> tuple[Mapping[str, Any], ...]:
        """The points that no other dominates, from the best `x` to the best `y`; equal points are all included."""
        front, best = [], None
        for x, y, point in sorted(((*self._losses(point), point) for point in self.points), key=lambda row: row[:2]):
            if best is None or y < best[1] or (x, y) == best:
                best = (x, y)
                front.append(point)
        return tuple(front)

    @property
    def worst(self) -> tuple[float, float]:
        """Returns the worst `x` and the worst `y` of all points, a reference for `hypervolume`.

        Raises:
            ValueError: If there are no points.
        """
        if not self.points:
            raise ValueError("`worst` needs at least one point. Received none.")
        xs, ys = zip(*map(self._losses, self.points), strict=True)
        return _signed(max(xs), self.x_direction), _signed(max(ys), self.y_direction)

    def hypervolume(self, reference: Sequence[float]) -> float:
        """Returns the area between the front and a reference; a larger area is a better front.

        Only areas with the same reference can be compared. Points that are not better than the reference in both
        quantities add nothing.

        Args:
            reference: Values of `x` and `y`, worse than those of any good point; for example the `worst` of all fronts
                that are compared.

        Returns:
            Float, in the unit of `x` times that of `y`; 0 without points.
        """
        reference = check_numbers("reference", reference, count=2)
        right, top = self._losses(dict(zip((self.x, self.y), reference, strict=True)))
        area = 0.0
        for point in self.front:
            x, y = self._losses(point)
            if x < right and y < top:
                area += (right - x) * (top - y)
                top = y
        return area

    def where(self, **values: Any) -> "ParetoFront":
        """Returns the front of the points that have all these values: `where(strategy="mixed")`."""
        chosen = [point for point in self.points if all(point.get(key) == value for key, value in values.items())]
        return dataclasses.replace(self, points=chosen)

    def to_json(self, path: str | os.PathLike[str] | None = None, *, overwrite: bool = False) -> str:
        """Returns all points as JSON text, and writes it to `path` if given; see `write_atomically` for errors."""
        return _RECORD.write(dataclasses.asdict(self), path, overwrite=overwrite)

    @classmethod
    def from_json(cls, source: str | os.PathLike[str]) -> "ParetoFront":
        """Reads a front from a path or from JSON text.

        Raises:
            ValueError: If it is not a front, or of a newer version.
        """
        return _RECORD.read(source, lambda content: cls(**{name: content[name] for name in _RECORD.needed}))

    def to_csv(self, path: str | os.PathLike[str] | None = None, *, overwrite: bool = False) -> str:
        """Returns CSV with one line per point, and writes it to `path` if given.

        The columns are all values that are numbers or texts, `x` and `y` first, and `on_front`, 1 or 0.
        """
        best = [id(point) for point in self.front]
        rows = [
            {key: value for key, value in point.items() if isinstance(value, str | numbers.Real)}
            | {"on_front": int(id(point) in best)}
            for point in self.points
        ]
        columns = dict.fromkeys([self.x, self.y, "on_front", *(key for row in rows for key in row)])
        text = io.StringIO()
        writer = csv.DictWriter(text, list(columns), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        if path is not None:
            write_atomically(path, text.getvalue(), overwrite=overwrite)
        return text.getvalue()

    def __str__(self) -> str:
        front = self.front
        rows = [
            (self.x, self.y, "id"),
            *((f"{p[self.x]:,.6g}", f"{p[self.y]:.4f}", str(p.get("id", ""))) for p in front),
        ]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(c.rjust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows]
        return "\n".join([f"{len(front)} of {len(self.points)} points are beaten by no other:", *lines])

    def _losses(self, point: Mapping[str, Any]) -> tuple[float, float]:
        """Returns both quantities with signs such that less is better."""
        return _signed(point[self.x], self.x_direction), _signed(point[self.y], self.y_direction)


def _signed(value: float, direction: str) -> float:
    return float(value) if direction == "min" else -float(value)


def _check(point: Mapping[str, Any], name: str) -> None:
    if name not in point:
        raise ValueError(f"Every point must have `{name}`. Received: {received(dict(point))}")
    check_number(name, point[name], where="Every point")


_RECORD = JsonRecord(
    "tfmp.ParetoFront",
    "a Pareto front",
    "`ParetoFront.to_json`",
    needed=tuple(field.name for field in dataclasses.fields(ParetoFront)),
)
