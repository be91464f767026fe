"""The picture of a network: one row a layer, with the bits of kernel and input, and lines for its connections."""

import dataclasses
from collections.abc import Sequence

from tfmp.reports.page.pictures import Bar
from tfmp.reports.run_parts import NetworkLayer

_MOST_BITS = 8


@dataclasses.dataclass(frozen=True)
class LayerRow:
    """A row: name and kind of a layer, and bars of the bits of its kernel and input, None for a layer without."""

    name: str
    kind: str
    weight: Bar | None
    activation: Bar | None
    weight_text: str = ""
    activation_text: str = ""


@dataclasses.dataclass(frozen=True)
class Connection:
    """A line from one row to a later one, in a lane: 0 is the straight line, others lie to the left of it."""

    start: int
    end: int
    lane: int


@dataclasses.dataclass(frozen=True)
class NetworkPicture:
    """Rows from the input to the output, and their connections."""

    title: str
    description: str
    rows: Sequence[LayerRow]
    connections: Sequence[Connection]
    kind: str = "network"

    @property
    def num_lanes(self) -> int:
        """Number of lanes."""
        return 1 + max((connection.lane for connection in self.connections), default=0)


def network_picture(title: str, layers: Sequence[NetworkLayer]) -> NetworkPicture:
    """Returns the picture of layers in the order in which they run."""
    places = {layer.name: place for place, layer in enumerate(layers)}
    spans = sorted(
        {(places[source], place) for place, layer in enumerate(layers) for source in layer.inputs if source in places},
        key=lambda span: span[1] - span[0],
    )
    lanes: list[list[tuple[int, int]]] = [[]]
    connections = []
    for start, end in spans:
        lane = 0 if end == start + 1 else _free_lane(lanes, start, end)
        connections.append(Connection(start, end, lane))
    return NetworkPicture(title, _described(layers, len(connections)), [_row(layer) for layer in layers], connections)


def _free_lane(lanes: list[list[tuple[int, int]]], start: int, end: int) -> int:
    """Returns the first lane besides the straight one in which nothing overlaps a span, and takes the place there."""
    for number, taken in enumerate(lanes[1:], start=1):
        if all(end <= first or last <= start for first, last in taken):
            taken.append((start, end))
            return number
    lanes.append([(start, end)])
    return len(lanes) - 1


def _row(layer: NetworkLayer) -> LayerRow:
    if layer.weight_bits is None or layer.activation_bits is None:
        return LayerRow(layer.name, layer.kind, None, None)
    weight, activation = (
        Bar(min(bits, _MOST_BITS) / _MOST_BITS, series)
        for series, bits in enumerate((layer.weight_bits, layer.activation_bits))
    )
    return LayerRow(layer.name, layer.kind, weight, activation, f"W{layer.weight_bits}", f"A{layer.activation_bits}")


def _described(layers: Sequence[NetworkLayer], num_connections: int) -> str:
    bits = [layer.weight_bits for layer in layers if layer.weight_bits is not None]
    span = f"kernels have {min(bits)} to {max(bits)} bits" if bits else "no layer has a kernel"
    return f"{len(layers)} layers with {num_connections} connections; {span}."
