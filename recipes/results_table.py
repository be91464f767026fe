"""Writes the tables of README.md from the JSON of finished runs.

    python -m recipes.results_table            # rewrites the tables between their marks
    python -m recipes.results_table --check    # fails if README.md does not show what the JSON says

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
    """Returns the runs in a folder as a Markdown table, one row per run, by method and seed.

    Args:
        results: Folder of the JSON files.
    """
    records = {path.stem: json.loads(path.read_text()) for path in sorted(pathlib.Path(results).glob("*.json"))}
    uniform = {r["seed"]: r["bitops"] for r in records.values() if r["method"] == "uniform"}
    lines = [
        "| run | seed | test accuracy, % | BitOps, 10^6 | of uniform | bits W/A by layer |",
        "|---|---|---|---|---|---|",
    ]
    for name, record in sorted(records.items(), key=lambda item: (_ORDER.index(item[1]["method"]), item[0])):
        seed, bitops = record["seed"], record.get("bitops")
        share = f"{bitops / uniform[seed]:.1%}" if bitops and seed in uniform else ""
        bits = " ".join(f"{w}/{a}" for w, a in record.get("bits", {}).values())
        name = name.removesuffix(f"-seed{seed}")
        shown = f"{bitops / 1e6:.2f}" if bitops else ""
        lines.append(f"| {name} | {seed} | {100 * record['accuracy']:.2f} | {shown} | {share} | {bits} |")
    return "\n".join(lines) + "\n"


_ORDER = ("float", "uniform", "mixed", "retrained")


def main(_):
    """Rewrites or checks README.md."""
    path = ROOT / "README.md"
    text = path.read_text(encoding="utf-8")
    new = _TABLE.sub(lambda m: m[1] + table(ROOT / "recipes" / "results" / m[2]) + m[3], text)
    if FLAGS.check:
        if new != text:
            sys.exit("README.md does not show what the runs say: run `python -m recipes.results_table`.")
        return
    write_atomically(path, new, overwrite=True)


if __name__ == "__main__":
    app.run(main)
