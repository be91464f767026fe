"""Pictures of a page as plain numbers: the template draws them as SVG, in shares of the width.

Only lengths along the width are shares: text keeps its size on a phone.
"""

import dataclasses
import math
from collections.abc import Sequence


@dataclasses.dataclass(frozen=True)
class Bar:
    """A bar of a picture; `share` of the width, 0 to 1, and the series that gives its color."""

    share: float
    series: int = 0


@dataclasses.dataclass(frozen=True)
class BarRow:
    """A row of a picture of bars: a label, the number as text, and the bar."""

    label: str
    text: str
    bar: Bar


@dataclasses.dataclass(frozen=True)
class BarPicture:
    """Bars, one below the other; `title` says what they show, `description` says it to those who do not see them."""

    title: str
    description: str
    rows: Sequence[BarRow]
    kind: str = "bars"


def bar_picture(title: str, named: Sequence[tuple[str, float, str]], *, series: int = 0) -> BarPicture:
    """Returns bars from zero to the largest value.

    Args:
        title: What they show.
        named: Label, value and text of each.
        series: The color.
    """
    largest = max((value for _, value, _ in named), default=0) or 1
    rows = [BarRow(label, text, Bar(max(0.0, value) / largest, series)) for label, value, text in named]
    label, _, text = max(named, key=lambda row: row[1])
    return BarPicture(title, f"{len(rows)} bars; the longest is {label} with {text}.", rows)


@dataclasses.dataclass(frozen=True)
class Tick:
    """A label of an axis at a share of its length."""

    share: float
    text: str


@dataclasses.dataclass(frozen=True)
class Axis:
    """An axis from the smallest to the largest of some values, with ticks at round numbers.

    Args:
        low: The lower end.
        high: The upper end.
        is_log: True for a logarithmic axis; both ends are positive then.
    """

    low: float
    high: float
    is_log: bool = False

    @classmethod
    def of(cls, values: Sequence[float], *, is_log: bool = False) -> "Axis":
        """Returns the axis that has room for all values."""
        low, high = min(values), max(values)
        if is_log:
            return cls(low / 1.2, high * 1.2, True)
        margin = 0.06 * (high - low) or abs(high) * 0.05 or 1.0
        return cls(low - margin if low < 0 or low > margin else 0.0, high + margin)

    def share(self, value: float) -> float:
        """Returns the place of a value, 0 at the lower end and 1 at the upper one."""
        low, high, value = (math.log(each) if self.is_log else each for each in (self.low, self.high, value))
        return (value - low) / (high - low)

    def ticks(self, count: int) -> list[Tick]:
        """Returns about `count` ticks."""
        values = self._decades() if self.is_log else []
        if len(values) < 2:
            step = _round_step((self.high - self.low) / count)
            first = math.ceil(self.low / step)
            values = [step * number for number in range(first, math.floor(self.high / step) + 1)]
        every = max(1, len(values) // count)
        return [Tick(self.share(value), short(value)) for value in values[::every] if value > 0 or not self.is_log]

    def _decades(self) -> list[float]:
        powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        return [10.0**power for power in powers if self.low <= 10.0**power <= self.high]


def _round_step(width: float) -> float:
    power = 10.0 ** math.floor(math.log10(width))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= width * 0.999)


def short(value: float) -> str:
    """Returns a number in few characters: `1.2M`, `34k`, `0.05`."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.3g}"


@dataclasses.dataclass(frozen=True)
class Point:
    """A point of a picture, in shares of width and height from the lower left; `href` is a fragment of the page."""

    x: float
    y: float
    title: str
    href: str = ""


@dataclasses.dataclass(frozen=True)
class Series:
    """Points of one color; `is_line` connects them."""

    name: str
    points: Sequence[Point]
    number: int
    is_line: bool = True


@dataclasses.dataclass(frozen=True)
class LinePicture:
    """Lines and points over two axes."""

    title: str
    description: str
    series: Sequence[Series]
    x_label: str
    x_ticks: Sequence[Tick]
    y_ticks: Sequence[Tick]
    kind: str = "lines"

    @property
    def has_links(self) -> bool:
        """True if a point links to a part of the page."""
        return any(point.href for series in self.series for point in series.points)


@dataclasses.dataclass(frozen=True)
class Curve:
    """Values to draw: `(x, y)` pairs, with a link for each if they have one."""

    name: str
    values: Sequence[tuple[float, float]]
    links: Sequence[str] = ()
    is_line: bool = True


def line_picture(title: str, curves: Sequence[Curve], *, x_label: str, is_log: bool = False) -> LinePicture:
    """Returns a picture of curves over common axes.

    Args:
        title: What it shows, with the unit of the values.
        curves: The curves, each with one value or more.
        x_label: What the horizontal axis shows, with its unit.
        is_log: True for a logarithmic vertical axis, on which values of zero or less are left out.
    """
    kept = [
        dataclasses.replace(curve, values=[pair for pair in curve.values if pair[1] > 0]) if is_log else curve
        for curve in curves
    ]
    kept = [curve for curve in kept if curve.values]
    x_axis = Axis.of([x for curve in kept for x, _ in curve.values])
    y_axis = Axis.of([y for curve in kept for _, y in curve.values], is_log=is_log)
    series = []
    for number, curve in enumerate(kept):
        links = curve.links or [""] * len(curve.values)
        points = [
            Point(x_axis.share(x), y_axis.share(y), f"{curve.name}: {short(x)}, {y:.4g}", link)
            for (x, y), link in zip(curve.values, links, strict=True)
        ]
        series.append(Series(curve.name, points, number, curve.is_line and len(points) > 1))
    ends = "; ".join(f"{curve.name} from {curve.values[0][1]:.4g} to {curve.values[-1][1]:.4g}" for curve in kept)
    return LinePicture(title, f"{ends}.", series, x_label, x_axis.ticks(4), y_axis.ticks(5))
