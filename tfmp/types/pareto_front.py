"""What is best in two quantities at once."""

import csv
import dataclasses
import io
import json
import math
import numbers
import os
from collections.abc import Mapping, Sequence
from typing import Any

from tfmp.types.atomic_file import write_atomically

DIRECTIONS = ("min", "max")
_FORMAT, _VERSION = "tfmp.ParetoFront", 1


@dataclasses.dataclass(frozen=True)
class ParetoFront:
    """Points measured in two quantities, and which of them no other point beats.

    A point beats another if it is at least as good in both quantities and better in one.

    Args:
        points: One mapping for each point, with a finite number under `x` and `y` and whatever else is known of it:
            its id, its other costs; JSON values.
        x: Name of the first quantity, `"energy_nj"` for example.
        y: Name of the second.
        x_direction: `"min"` if less of `x` is better, else `"max"`.
        y_direction: The same of `y`.

    Raises:
        ValueError: If a point lacks a quantity, or has one that is no finite number; or a direction is unknown.

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

    def __post_init__(self):
        for name in ("x_direction", "y_direction"):
            if getattr(self, name) not in DIRECTIONS:
                raise ValueError(f'`{name}` must be "min" or "max". Received: {getattr(self, name)!r}')
        if self.x == self.y:
            raise ValueError(f"`x` and `y` must be two quantities. Received: {self.x!r} twice")
        for point in self.points:
            for name in (self.x, self.y):
                _check(point, name)
        object.__setattr__(self, "points", tuple(dict(point) for point in self.points))

    @property
    def front(self) -> tuple[dict[str, Any], ...]:
        """The points that no other beats, from the best `x` to the best `y`; all of several that are equal in both."""
        found, best = [], None
        for x, y, point in sorted(((*self._losses(point), point) for point in self.points), key=lambda row: row[:2]):
            if best is None or y < best[1] or (x, y) == best:
                best = (x, y)
                found.append(point)
        return tuple(found)

    @property
    def worst(self) -> tuple[float, float]:
        """The worst `x` and the worst `y` of any point: a reference that no point is beyond.

        Raises:
            ValueError: If there are no points.
        """
        if not self.points:
            raise ValueError("Without points there is no worst one.")
        xs, ys = zip(*map(self._losses, self.points), strict=True)
        return _signed(max(xs), self.x_direction), _signed(max(ys), self.y_direction)

    def hypervolume(self, reference: Sequence[float]) -> float:
        """Returns the area between the front and a reference: the larger, the better the front.

        Only areas for the same reference can be compared. Points that are not better than it in both quantities add
        nothing.

        Args:
            reference: Values of `x` and `y` that any good point beats, `worst` of all fronts to be compared for
                example.

        Returns:
            Float, in the unit of `x` times that of `y`; 0 without points.
        """
        right, top = self._losses(dict(zip((self.x, self.y), reference, strict=True)))
        area = 0.0
        for point in self.front:
            x, y = self._losses(point)
            if x < right and y < top:
                area += (right - x) * (top - y)
                top = y
        return area

    def where(self, **values) -> "ParetoFront":
        """Returns the front of those points that have all these values: `where(strategy="mixed")`."""
        chosen = [point for point in self.points if all(point.get(key) == value for key, value in values.items())]
        return dataclasses.replace(self, points=chosen)

    def to_json(self, path: str | os.PathLike | None = None, *, overwrite: bool = False) -> str:
        """Returns all points as JSON text, and writes it to `path` if given; see `write_atomically` for errors."""
        content = {"format": _FORMAT, "version": _VERSION, **dataclasses.asdict(self)}
        return _returned_and_written(json.dumps(content, indent=1) + "\n", path, overwrite)

    @classmethod
    def from_json(cls, source) -> "ParetoFront":
        """Reads a front from a path or from the JSON text itself.

        Raises:
            ValueError: If it is none, or one of a newer version.
        """
        text = str(source)
        if not text.lstrip().startswith("{"):
            with open(source, encoding="utf-8") as file:
                text = file.read()
        try:
            content = json.loads(text)
        except json.JSONDecodeError as error:
            raise ValueError(f"Expected a Pareto front in JSON. Received text that is not JSON: {error}") from error
        if not isinstance(content, dict) or content.get("format") != _FORMAT:
            raise ValueError("Expected JSON written by `ParetoFront.to_json`. Received JSON without its `format` mark.")
        if content.get("version", 0) > _VERSION:
            raise ValueError(
                f"Expected a Pareto front of version {_VERSION} or older. Received version {content['version']}: "
                "upgrade tfmp to read it."
            )
        names = [field.name for field in dataclasses.fields(cls)]
        missing = [name for name in names if name not in content]
        if missing:
            raise ValueError(f"Expected a Pareto front. Received one without {', '.join(missing)}.")
        return cls(**{name: content[name] for name in names})

    def to_csv(self, path: str | os.PathLike | None = None, *, overwrite: bool = False) -> str:
        """Returns one CSV line per point, and writes it to `path` if given.

        The columns are those values that are numbers or texts, `x` and `y` first, and `on_front`, 1 or 0.
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
        return _returned_and_written(text.getvalue(), path, overwrite)

    def __str__(self) -> str:
        front = self.front
        rows = [
            (self.x, self.y, "id"),
            *((f"{p[self.x]:,.6g}", f"{p[self.y]:.4f}", str(p.get("id", ""))) for p in front),
        ]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(c.rjust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows]
        return "\n".join([f"{len(front)} of {len(self.points)} points are beaten by no other:", *lines])

    def _losses(self, point):
        """Both quantities, turned so that less is better."""
        return _signed(point[self.x], self.x_direction), _signed(point[self.y], self.y_direction)


def _signed(value, direction):
    return float(value) if direction == "min" else -float(value)


def _check(point, name):
    if not isinstance(point, Mapping):
        raise TypeError(f"A point must be a mapping of names to values. Received: {point!r}")
    if name not in point:
        raise ValueError(f"Every point must have `{name}`. Received one with {', '.join(map(str, point)) or 'nothing'}")
    value = point[name]
    if not isinstance(value, numbers.Real) or isinstance(value, bool) or not math.isfinite(value):
        raise ValueError(f"`{name}` of every point must be a finite number. Received: {value!r}")


def _returned_and_written(text, path, overwrite):
    if path is not None:
        write_atomically(path, text, overwrite=overwrite)
    return text
