r"""Tabulates the simulated energy of networks at uniform bits on every preset.

    python tools/energy_table.py    # rewrites recipes/results/energy.json and the tables of docs/energy_and_latency.md
    python tools/energy_table.py --networks resnet18 --batch 1 --output resnet18.json    # another table, page unchanged

Energy is for one sample of a batch that runs together, in mJ.
"""

import json
import pathlib
import re
from collections.abc import Sequence
from typing import Any

from absl import app, flags

from tfmp.files.atomic_file import write_atomically
from tfmp.simulator import preset_names, read_workload, sweep

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "energy_and_latency.md"
RESULTS = ROOT / "recipes" / "results" / "energy.json"
NETWORKS = ("mobilenet_v2", "resnet18")
BITS = ((8, 8), (6, 6), (4, 4), (3, 3), (2, 2))
BATCH = 16
_MARKS = re.compile(r"(<!-- energy table -->\n).*?(<!-- end of table -->)", re.DOTALL)

_NETWORKS = flags.DEFINE_list("networks", list(NETWORKS), "Workloads in tools/workloads/.")
_BATCH = flags.DEFINE_integer("batch", BATCH, "Samples that run together.", lower_bound=1)
_OUTPUT = flags.DEFINE_string("output", None, "JSON file to write instead of the results and the page.")
_OVERWRITE = flags.DEFINE_bool("overwrite", False, "Replace --output if it exists.")


def measure(networks: Sequence[str], batch: int, machines: Sequence[str]) -> list[dict[str, Any]]:
    """Returns one row per network, preset and pair of bits, nJ for the batch; schedules are those of least energy."""
    rows: list[dict[str, Any]] = []
    for network in networks:
        layers = read_workload(ROOT / "tools" / "workloads" / f"{network}.json")
        result = sweep(layers, BITS, list(machines), batch, objective="energy")
        rows += [{"network": network, **row} for row in result.as_dicts()]
    return rows


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Returns one table in Markdown per network: mJ per sample, and the part of the energy at W8A8."""
    text = []
    for network in dict.fromkeys(row["network"] for row in rows):
        of_network = [row for row in rows if row["network"] == network]
        pairs = list(dict.fromkeys((row["weight_bits"], row["activation_bits"]) for row in of_network))
        text.append(f"| {network} | " + " | ".join(f"W{weight}A{activation}" for weight, activation in pairs) + " |")
        text.append("|---" * (len(pairs) + 1) + "|")
        for machine in dict.fromkeys(row["hardware"] for row in of_network):
            energies = [row["energy_nj"] / row["batch"] / 1e6 for row in of_network if row["hardware"] == machine]
            cells = [f"{energy:.3f} ({energy / energies[0]:.0%})" for energy in energies]
            text.append(f"| `{machine}` | " + " | ".join(cells) + " |")
        text.append("")
    return "\n".join(text).rstrip() + "\n"


def main(argv: list[str]) -> None:
    """Writes the results, and the tables of the page if these are its networks."""
    if len(argv) > 1:
        raise app.UsageError(f"Expected no arguments. Received: {argv[1:]}")
    rows = measure(_NETWORKS.value, _BATCH.value, preset_names())
    print(table(rows), end="")
    text = json.dumps(rows, indent=1) + "\n"
    if _OUTPUT.value:
        write_atomically(_OUTPUT.value, text, overwrite=_OVERWRITE.value)
        return
    if (tuple(_NETWORKS.value), _BATCH.value) != (NETWORKS, BATCH):
        raise app.UsageError("The page shows other networks or another batch: give --output FILE.")
    write_atomically(RESULTS, text, overwrite=True)
    page = PAGE.read_text(encoding="utf-8")
    written = _MARKS.sub(lambda marks: marks[1] + table(rows) + marks[2], page)
    write_atomically(PAGE, written.encode(), overwrite=True)


if __name__ == "__main__":
    app.run(main)
