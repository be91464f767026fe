"""A front of accuracy against cost; every point links to its bits."""

from typing import Any

from tfmp.reports.page.pictures import Curve, line_picture
from tfmp.reports.page.section import Section
from tfmp.reports.page.tables import Cell, Table, amount_cell, cell
from tfmp.reports.pareto_front import ParetoFront


def front_section(front: ParetoFront) -> Section:
    """Returns the section of a front that has one point or more."""
    ids = {id(point): f"point-{number}" for number, point in enumerate(front.points)}
    on_front = [id(point) for point in front.front]
    best = sorted(front.front, key=lambda point: point[front.x])
    others = [point for point in front.points if id(point) not in on_front]
    curves = [
        _curve("front", front, best, ids),
        *([_curve("other", front, others, ids, is_line=False)] if others else []),
    ]
    picture = line_picture(front.y, curves, x_label=front.x)
    columns = ("point", front.x, front.y, "on the front", "strategy", "budget")
    rows = [
        [
            Cell(_name(point, place), href=f"#{ids[id(point)]}" if point.get("bits") else ""),
            amount_cell(point[front.x]),
            cell(point[front.y], ".6g"),
            cell("yes" if id(point) in on_front else "no"),
            *(cell(str(point.get(key, ""))) for key in ("strategy", "budget")),
        ]
        for place, point in enumerate(front.points)
    ]
    note = f"{len(on_front)} of {len(front.points)} points are beaten by no other."
    parts = [
        Section(ids[id(point)], f"Bits of point {_name(point, place)}", tables=[_assignment(point["bits"])])
        for place, point in enumerate(front.points)
        if point.get("bits")
    ]
    return Section("front", "Front", [note], [picture], [Table("Points", columns, rows)], parts=parts)


def _curve(name: str, front: ParetoFront, points: Any, ids: dict[int, str], *, is_line: bool = True) -> Curve:
    links = [f"#{ids[id(point)]}" if point.get("bits") else "" for point in points]
    return Curve(name, [(point[front.x], point[front.y]) for point in points], links, is_line)


def _assignment(bits: Any) -> Table:
    rows = [[cell(layer), cell(weight), cell(activation)] for layer, (weight, activation) in bits.items()]
    return Table("Its bits", ("layer", "weight bits", "input bits"), rows)


def _name(point: Any, place: int) -> str:
    return str(point.get("id", place + 1))
