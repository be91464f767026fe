r"""Prints how long encodings of kernels take in TensorFlow Lite for Microcontrollers, relative to INT8, as a table.

    python tools/measure_runtime.py resnet8.keras --target micro --output micro.json
    python tools/microcontroller_latency.py micro.json

A row per kind of layer and encoding: the sum over the layers that were measured in it, divided by the sum of the same
layers as INT8; and the smallest and largest ratio of one layer.
"""

import collections

from absl import app

from tfmp.costs.runtime_table import RuntimeRow, RuntimeTable


def rows(table: RuntimeTable) -> list[str]:
    """Returns the rows of a table, INT8 left out."""
    pairs = collections.defaultdict(list)
    for row in table.rows:
        int8_us = table.latency_us(row.shape, 8)
        if int8_us and _encoding(row) != "INT8":
            pairs[row.shape.kind, _encoding(row)].append((row.latency_us, int8_us))
    shown = []
    for (kind, encoding), found in sorted(pairs.items()):
        ratios = [latency / int8 for latency, int8 in found]
        total = sum(latency for latency, _ in found) / sum(int8 for _, int8 in found)
        shown.append(f"| `{kind}` | {encoding} | {len(found)} | {total:.2f} | {min(ratios):.2f} to {max(ratios):.2f} |")
    return shown


def _encoding(row: RuntimeRow) -> str:
    return f"INT{row.container_bits}" if row.index_bits is None else f"{row.index_bits}-bit indices"


def main(argv: list[str]) -> None:
    """Prints the table of a file."""
    if len(argv) != 2:
        raise app.UsageError(f"Expected the JSON file of tools/measure_runtime.py. Received: {argv[1:]}")
    print("| layer | encoding | layers | time, of INT8 | of one layer |")
    print("|---|---|---|---|---|")
    for row in rows(RuntimeTable.from_json(argv[1])):
        print(row)


if __name__ == "__main__":
    app.run(main)
