"""Writes the tables of README.md and docs/ from the JSON of finished runs.

    python -m recipes.results_table            # rewrites the tables between their marks
    python -m recipes.results_table --check    # fails if a page does not show what the JSON says

A table stands between `<!-- table: NAME -->` and `<!-- end of table -->`, where `recipes/results/NAME/` has the runs;
`NAME_summary` is a table of some of them;
pictures, `docs/figures/NAME*.png`, stand between `<!-- figures: NAME -->` and `<!-- end of figures -->`. A page has
neither before there are runs: it is an error.
"""

import functools
import json
import pathlib
import re
import sys

from absl import app, flags

from recipes import benchmark_tables, trained_tables, width_tables
from recipes.intervals import mean_with_interval
from recipes.strategy_areas import strategy_areas
from tfmp.files.atomic_file import write_atomically

FLAGS = flags.FLAGS

ROOT = pathlib.Path(__file__).resolve().parents[1]
_TABLE = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end of table -->)", re.DOTALL)
_SUMMARY = "_summary"  # ends the name of a table of some of the runs
_FIGURES = re.compile(r"(<!-- figures: (\w+) -->\n).*?(<!-- end of figures -->)", re.DOTALL)


def table(results, name=None):
    """Returns the runs in a folder as a Markdown table.

    Args:
        results: Folder of the JSON files, named after the recipe that wrote them.
        name: Of the table, if it is another one than that of all runs.

    Raises:
        ValueError: If it has none.
    """
    results = pathlib.Path(results)
    records = {path.stem: json.loads(path.read_text()) for path in sorted(results.glob("*.json"))}
    if not records:
        raise ValueError(f"Expected the JSON of a run in {results}. Received none. Take the table out of the page.")
    return markdown(*_TABLES[name or results.name](records))


def markdown(header, rows):
    """Returns a table in Markdown, given lists of strings."""
    lines = [f"| {' | '.join(cells)} |" for cells in (header, *rows)]
    lines.insert(1, "|" + "---|" * len(header))
    return "\n".join(lines) + "\n"


def figures(name, docs=ROOT / "docs"):
    """Returns the pictures whose file names begin with a name, for a page of `docs`.

    Raises:
        ValueError: If there are none.
    """
    found = sorted((docs / "figures").glob(f"{name}*.png"))
    if not found:
        raise ValueError(f"Expected docs/figures/{name}*.png. Received none. Take the pictures out of the page.")
    return "\n".join(f"![{path.stem}](figures/{path.name})\n" for path in found)


def pages():
    """Paths of the pages that may hold tables."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def with_tables(text):
    """Returns a page with updated tables and pictures."""
    folder = ROOT / "recipes" / "results"
    text = _TABLE.sub(lambda m: m[1] + table(folder / m[2].removesuffix(_SUMMARY), m[2]) + m[3], text)
    return _FIGURES.sub(lambda m: m[1] + figures(m[2]) + m[3], text)


def _compared(records, tolerance=1.0):
    """A row per run, over its seeds; differences are those of equal seeds, BitOps those of the searched layers.

    A run whose BitOps are further from those of uniform bits than the tolerance is in parentheses and in no difference.
    """
    runs = _by_seed(records)
    uniform, rows = runs.get("uniform", {}), []
    for name in sorted(runs, key=lambda name: (_rank(name), name)):
        seeds = runs[name]
        paired = [seed for seed in seeds if seed in uniform and "bitops" in seeds[seed] and name != "uniform"]
        shares = {seed: (seeds[seed]["equivalent_bits"] / uniform[seed]["equivalent_bits"]) ** 2 for seed in paired}
        outside = {seed for seed, share in shares.items() if abs(share - 1) > tolerance}
        accuracies = {seed: f"{100 * seeds[seed]['accuracy']:.2f}" for seed in sorted(seeds)}
        accuracies = ", ".join(f"({shown})" if seed in outside else shown for seed, shown in accuracies.items())
        # Uniform networks of the same quantizer, where that is another one; and those that start as searched ones do.
        quantizer = [setting for setting in name.split("-")[1:] if setting.startswith("quantizer=")]
        own = runs.get("-".join(["uniform", *quantizer]), {}) if quantizer else {}
        alike = runs.get("-".join(["retrained-assignment=uniform", *quantizer]), {})
        baselines = uniform, own, {} if name.startswith("uniform") else alike
        within = {seed: record for seed, record in seeds.items() if seed not in outside}
        ahead = [
            mean_with_interval(_differences(within, others)) if others is not seeds else "" for others in baselines
        ]
        of_uniform = f"{min(shares.values()):.1%} to {max(shares.values()):.1%}" if shares else ""
        rows.append([name, ", ".join(map(str, sorted(seeds))), accuracies, *ahead, of_uniform])
    header = ["run", "seeds", "test accuracy, %", "ahead of uniform, points", "ahead of its quantizer's uniform"]
    header += ["ahead of uniform bits trained alike", "BitOps, of uniform"]
    shown = [i for i in range(len(header)) if any(row[i] for row in rows)]
    return [header[i] for i in shown], [[row[i] for i in shown] for row in rows]


def _by_bits(records):
    """A row per run: what it pays and how good it is."""
    rows = []
    for name, seeds in _by_seed(records).items():
        bits, accuracies = (
            ", ".join(f"{scale * seeds[seed][key]:.2f}" for seed in sorted(seeds))
            for key, scale in (("equivalent_bits", 1), ("accuracy", 100))
        )
        rows.append([name, ", ".join(map(str, sorted(seeds))), bits, accuracies])
    return ["run", "seeds", "equivalent bits", "test accuracy, %"], rows


def _by_seed(records):
    """Run to seed to record."""
    runs = {}
    for name, record in records.items():
        runs.setdefault(name.removesuffix(f"-seed{record['seed']}"), {})[record["seed"]] = record
    return runs


def _rank(name):
    """Place of a run in its table: baselines, then what is compared with them."""
    order = ("float", "uniform", "mixed", "retrained")
    first = name.split("-")[0]
    return order.index(first) if first in order else len(order)


def _differences(seeds, others):
    """By how many points runs at fixed or searched bits are ahead of others of the same seeds."""
    return [
        100 * (seeds[seed]["accuracy"] - others[seed]["accuracy"])
        for seed in sorted(seeds)
        if seed in others and "bitops" in seeds[seed]
    ]


def _keras_applications(records):
    """A row per network."""
    rows = []
    for name, record in records.items():
        if "error" in record:
            rows.append([name, record["error"], *[""] * 11])
            continue
        modes = [record[mode] for mode in ("fast", "small")]
        floating = record["layers"].get("floating")
        operators = " and ".join(f"{found['operators_all_equal']} of {found['operators']}" for found in modes)
        outside = {entry.split()[0] for found in modes for entry in found["outside_xnnpack"]}
        rows.append(
            [
                name,
                f"{record['layers']['searched']} of {record['layers']['searched'] + record['layers']['kept']}",
                "" if floating is None else str(floating),
                operators,
                f"{min(found['smallest_equal_share'] for found in modes):.2%}",
                str(max(found["largest_operator_difference"] for found in modes)),
                f"{min(found['end_to_end_equal_share'] for found in modes):.1%}",
                f"{min(found['top1_agreement'] for found in modes):.0%}",
                *(f"{size:,}" for size in (record["float_bytes"], *(found["bytes"] for found in modes))),
                " and ".join(f"{found['predicted_bytes'] / found['bytes'] - 1:+.1%}" for found in modes),
                ", ".join(sorted(outside)),
            ]
        )
    header = [
        "network",
        "searched",
        "in floating point",
        "operators all equal",
        "least equal",
        "largest difference",
        "outputs equal",
        "same class as folded",
    ]
    return [*header, "float bytes", "fast bytes", "small bytes", "predicted", "outside XNNPACK"], rows


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


def _joint(records):
    """A row per network, cheapest last."""
    rows = []
    for record in sorted(records.values(), key=lambda record: (record["seed"], -record["energy_mj"])):
        expected = record["search"]["expected_of_target"] if "search" in record else None
        rows.append(
            [
                record["method"],
                str(record["seed"]),
                f"{100 * record['error']:.2f}",
                f"{record['kernel_bytes'] / 1024:.1f}",
                f"{record['energy_mj']:.3f}",
                f"{record['latency_ms']:.3f}",
                "" if expected is None else f"{100 * expected:.1f}",
                ", ".join(record["blocks"]),
            ]
        )
    header = ["method", "seed", "test error, %", "kernels, KiB", "energy, mJ", "simulated latency, ms"]
    return [*header, "expected energy, % of target", "blocks"], rows


def _cost_gradients(records):
    """A row per baseline, number of samples and seed."""
    order, rows = ("none", "moving_average", "leave_one_out"), []
    for record in sorted(records.values(), key=lambda record: (record["seed"], order.index(record["method"]))):
        for samples, found in record["by_samples"].items():
            numbers = [f"{found[key]:.3f}" for key in ("bias", "bias_by_chance", "deviation", "cosine")]
            covered = f"{100 * found['covered']:.1f}"
            rows.append([str(record["seed"]), record["method"], samples, *numbers[:2], covered, *numbers[2:]])
    header = ["seed", "baseline", "samples", "bias", "bias by chance", "within 95 % interval, %"]
    return [*header, "deviation", "cosine"], rows


def _budget_front(records):
    """A row per strategy, over its seeds: the areas of its fronts, and by how much they are ahead of two others."""
    rows = []
    for run, seeds in _by_seed(records).items():
        areas = {}
        for seed, record in sorted(seeds.items()):
            for strategy, area in strategy_areas(record).items():
                areas.setdefault(strategy, {})[seed] = 100 * area
        for strategy, found in areas.items():
            shown = ", ".join(f"{area:.2f}" for area in found.values())
            others = [areas.get(other, {}) if other != strategy else {} for other in ("uniform", "ilp")]
            ahead = [
                mean_with_interval([found[seed] - other[seed] for seed in found if seed in other]) for other in others
            ]
            rows.append([run, strategy, ", ".join(map(str, found)), shown, *ahead])
    return ["run", "strategy", "seeds", "hypervolume, %", "ahead of uniform, points", "ahead of ilp, points"], rows


_TABLES = {
    "benchmark_files": benchmark_tables.files,
    "benchmark_layers": benchmark_tables.layers,
    "benchmark_profile": benchmark_tables.profile,
    "benchmark_search": benchmark_tables.search,
    "benchmark_sensitivity": benchmark_tables.sensitivity,
    "budget_front": _budget_front,
    "budget_front_cifar10": _budget_front,
    "compress_networks": trained_tables.compress_networks,
    "cost_gradients": _cost_gradients,
    "edmips_ablations": _compared,
    "edmips_accuracy": _by_bits,
    "edmips_allocation": _by_bits,
    "edmips_filter_sensitivity": _by_bits,
    "edmips_layer_sensitivity": _by_bits,
    "edmips_networks": _compared,
    "forecast": trained_tables.forecast,
    "joint_cifar10": _joint,
    "keras_applications": _keras_applications,
    "mlperf_tiny": trained_tables.mlperf_tiny,
    "post_training": trained_tables.post_training,
    "post_training_summary": trained_tables.post_training_summary,
    "resnet8_cifar10": functools.partial(_compared, tolerance=0.02),
    "step_granularity": trained_tables.step_granularity,
    "trained_alike": trained_tables.trained_alike,
    "width_mobilenet_v2": width_tables.by_size,
    "width_resnet20": width_tables.by_size,
    "width_vgg11_fan_in": width_tables.changes,
    "width_inv_resnet26": width_tables.by_size,
    "width_vgg11": width_tables.by_size,
    "width_vgg11_growth": width_tables.changes,
    "width_vgg11_variants": width_tables.by_size,
    "without_training": _without_training,
}


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
    flags.DEFINE_bool("check", False, "Compare instead of writing.")
    app.run(main)
