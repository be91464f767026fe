"""Writes the tables of README.md and docs/ from the JSON of finished runs.

    python -m recipes.results_table            # rewrites the tables between their marks
    python -m recipes.results_table --check    # fails if a page does not show what the JSON says

A table stands between `<!-- table: NAME -->` and `<!-- end of table -->`, where `recipes/results/NAME/` has the runs.
"""

import json
import pathlib
import re
import sys

from absl import app, flags

from tfmp.types.atomic_file import write_atomically

FLAGS = flags.FLAGS
flags.DEFINE_bool("check", False, "Compare instead of writing.")

ROOT = pathlib.Path(__file__).resolve().parents[1]
_TABLE = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end of table -->)", re.DOTALL)


def table(results):
    """Returns the runs in a folder as a Markdown table.

    Args:
        results: Folder of the JSON files, named after the recipe that wrote them.
    """
    results = pathlib.Path(results)
    records = {path.stem: json.loads(path.read_text()) for path in sorted(results.glob("*.json"))}
    header, rows = _TABLES[results.name](records)
    lines = [f"| {' | '.join(cells)} |" for cells in (header, *rows)]
    lines.insert(1, "|" + "---|" * len(header))
    return "\n".join(lines) + "\n"


def pages():
    """Paths of the pages that may hold tables."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def with_tables(text):
    """A page with its tables made anew."""
    return _TABLE.sub(lambda m: m[1] + table(ROOT / "recipes" / "results" / m[2]) + m[3], text)


def _resnet8_cifar10(records):
    """A row per run, by method and seed."""
    order = ("float", "uniform", "mixed", "retrained")
    uniform = {r["seed"]: r["bitops"] for r in records.values() if r["method"] == "uniform"}
    rows = []
    for name, record in sorted(records.items(), key=lambda item: (order.index(item[1]["method"]), item[0])):
        seed, bitops = record["seed"], record.get("bitops")
        share = f"{bitops / uniform[seed]:.1%}" if bitops and seed in uniform else ""
        bits = " ".join(f"{w}/{a}" for w, a in record.get("bits", {}).values())
        shown = f"{bitops / 1e6:.2f}" if bitops else ""
        name = name.removesuffix(f"-seed{seed}")
        rows.append([name, str(seed), f"{100 * record['accuracy']:.2f}", shown, share, bits])
    return ["run", "seed", "test accuracy, %", "BitOps, 10^6", "of uniform", "bits W/A by layer"], rows


def _without_training(records):
    """A row per network, budget and seed, uniform before assigned bits."""

    def order(record):
        return record["network"], record["uniform_bits"], record["seed"], record["kind"] != "uniform"

    fits = ("start", "normalization", "post_training")
    rows = []
    for record in sorted(records.values(), key=order):
        shown = [f"{100 * value:.2f}" for value in (record["float_accuracy"], *map(record["accuracy"].get, fits))]
        bits = " ".join(f"{w}/{a}" for w, a in record["bits"].values())
        seed, budget = str(record["seed"]), f"W{record['uniform_bits']}A{record['uniform_bits']}"
        rows.append([record["network"], seed, budget, record["kind"], f"{record['bitops'] / 1e6:.2f}", *shown, bits])
    header = ["network", "seed", "budget", "bits", "BitOps, 10^6", "float, %", *(f"`{fit}`, %" for fit in fits)]
    return [*header, "W/A by layer"], rows


_TABLES = {"resnet8_cifar10": _resnet8_cifar10, "without_training": _without_training}


def main(_):
    """Rewrites or checks the pages."""
    for path in pages():
        text = path.read_text(encoding="utf-8")
        new = with_tables(text)
        if new == text:
            continue
        if FLAGS.check:
            sys.exit(f"{path.name} does not show what the runs say: run `python -m recipes.results_table`.")
        write_atomically(path, new, overwrite=True)


if __name__ == "__main__":
    app.run(main)
