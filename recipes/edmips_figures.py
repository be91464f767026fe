"""Draws the figures of `recipes.edmips` from the JSON of its runs: `python -m recipes.edmips_figures`."""

import collections
import json
import pathlib

import numpy as np
from absl import app

from recipes.experiment import FIGURES, RESULTS
from recipes.intervals import half_width
from tfmp import plots


def draw(folder, figures):
    """Draws what the runs in a folder of results show; the folder's name says which figures these are, if any.

    Args:
        folder: Folder of the JSON of runs.
        figures: Folder of the pictures.
    """
    folder = pathlib.Path(folder)
    runs = load(folder)
    if folder.name not in _DRAWN:
        print(f"No figures are known for `{folder.name}`; they are for {', '.join(_DRAWN)}.")
        return
    figures.mkdir(parents=True, exist_ok=True)
    for name, figure in _DRAWN[folder.name](runs) if runs else ():
        for path in plots.save(figure, figures / f"{folder.name}{name}"):
            print(path)


def load(folder):
    """The records of a folder: run to seed to record; a record without a seed has None for one."""
    runs = collections.defaultdict(dict)
    for path in sorted(folder.glob("*.json")):
        record = json.loads(path.read_text())
        seed = record.get("seed")
        runs[path.stem.removesuffix(f"-seed{seed}")][seed] = record
    return dict(runs)


def sensitivity(runs):
    """Fig. 3: what each filter gains from more bits, and what it costs."""
    baseline = runs.pop("baseline", {})
    gains, costs = {}, {}
    for name, records in runs.items():
        seeds = sorted(records.keys() & baseline.keys())
        if seeds:
            gains[name] = np.mean([100 * (records[seed]["accuracy"] - baseline[seed]["accuracy"]) for seed in seeds])
            costs[name] = np.mean(
                [100 * (records[s]["equivalent_bits"] ** 2 / baseline[s]["equivalent_bits"] ** 2 - 1) for s in seeds]
            )
    if gains:
        title = f"One filter at W4A4, all others at W2A2 ({len(baseline)} seeds)"
        yield "", plots.bars({"gain": gains}, y_label="test accuracy gained, points", title=title)
        yield "_cost", plots.bars({"cost": costs}, y_label="BitOps added, % of the searched layers", title=title)


def evolution(runs):
    """Fig. 4: the probabilities of the candidates after each epoch."""
    for name, records in runs.items():
        record = records[min(records)]
        epochs = [record["evolution"][epoch] for epoch in sorted(record["evolution"], key=int)]
        probabilities = {layer: [[epoch[layer][i] for epoch in epochs] for i in (0, 1)] for layer in epochs[0]}
        bits = record["config"]["weight_bits"], record["config"]["activation_bits"]
        eta, (weight, activation) = record["config"]["eta"], record["config"]["uniform_bits"]
        title = f"ResNet-8, eta = {eta}" if eta else f"ResNet-8, BitOps of W{weight}A{activation}"
        yield f"_{name}", plots.probability_evolution(probabilities, *bits, title=title)


def accuracy(runs):
    """Fig. 5: accuracy of uniform and mixed networks against BitOps."""
    series = {}
    for quantizer in ("hwgq", "lsq"):
        for kind in ("uniform", "mixed"):
            points = [records for name, records in runs.items() if name.startswith(f"{quantizer}-{kind}")]
            if not points:
                continue
            bits = [np.mean([record["equivalent_bits"] for record in records.values()]) for records in points]
            accuracies = [[100 * record["accuracy"] for record in records.values()] for records in points]
            means = [np.mean(values) for values in accuracies]
            series[f"{quantizer.upper()} {kind}"] = bits, means
    if series:
        seeds = max(len(records) for records in runs.values())
        yield (
            "",
            plots.curves(
                series,
                x_label="sqrt(BitOps / MACs) of the searched layers, bits",
                y_label="test accuracy, %",
                title=f"ResNet-8 on CIFAR-10, mean of {seeds} seed{'s' * (seeds > 1)}",
            ),
        )


def allocation(runs):
    """Fig. 6: the bits of every layer."""
    for name, records in runs.items():
        found = {f"seed {seed}": record["bits"] for seed, record in records.items() if "bits" in record}
        if found and "uniform" not in name:
            bits = next(iter(records.values()))["config"]["uniform_bits"]
            title = f"{name}, BitOps of W{bits[0]}A{bits[1]}"
            yield f"_{name}", plots.bit_allocation(found, uniform_bits=bits, title=title)


def ablations(runs):
    """Fig. 7a: variants of the search ahead of uniform bits; fig. 7b: how their cost settles."""
    uniform = runs.get("uniform", {})
    rows = {}
    for name, records in runs.items():
        seeds = sorted(records.keys() & uniform.keys())
        if seeds and "bits" in records[seeds[0]]:
            values = [100 * (records[seed]["accuracy"] - uniform[seed]["accuracy"]) for seed in seeds]
            bits = np.mean([records[seed]["equivalent_bits"] for seed in seeds])
            rows[f"{name} ({bits:.2f} bits)"] = values, half_width(values)
    if rows:
        yield "", plots.intervals(rows, x_label="test accuracy ahead of uniform W2A2, points")
    series = {}
    for name, records in runs.items():
        history = records[min(records)].get("history", {})
        if name in _CONVERGENCE and "expected_cost" in history:
            cost = history["expected_cost"]
            series[name] = np.arange(1, len(cost) + 1), cost
    if series:
        yield (
            "_convergence",
            plots.curves(series, x_label="epoch of the search", y_label="expected BitOps / BitOps of W2A2"),
        )


_CONVERGENCE = ("search", "not_shared", "alternating", "annealed", "gumbel", "freezing", "coupled")


def networks(runs):
    """Networks of equal cost, trained equally."""
    for name, figure in ablations(runs):
        if not name:
            yield name, figure


def composite(runs):
    """Fig. 7c, from `tools/benchmark_search.py`: what one shared kernel and one convolution save, and how it grows."""
    for name, records in runs.items():
        variants = records[None]["variants"]
        uniform, series = variants["uniform"], {}
        if "peak_bytes" not in uniform:  # a run of `--cases`, for docs/speed.md
            continue
        for variant, label in _VARIANTS.items():
            if variant in variants:
                series[label] = _of_uniform(variants[variant], uniform)
        reference = 1.0, "uniform W2A2"
        yield f"_{name}", plots.bars(series, y_label="of a uniform network's", title=name, reference=reference)
        counts = sorted(int(key.removeprefix("candidates_")) for key in variants if key.startswith("candidates_"))
        if counts:
            steps = [variants[f"candidates_{count}"]["step_of_uniform"][1] for count in counts]
            labels = {"x_label": "candidates of each tensor", "y_label": "of a uniform network's"}
            yield f"_{name}_growth", plots.curves({"step time": (counts, steps)}, **labels, title=name)


def _of_uniform(found, uniform):
    return {
        "step time": found["step_of_uniform"][1],
        "peak memory": found["peak_bytes"] / uniform["peak_bytes"],
        "trained bytes": found["trained_bytes"] / uniform["trained_bytes"],
    }


_VARIANTS = {"softmax": "shared, composite", "separate": "not shared, composite", "parallel": "shared, parallel"}
_DRAWN = {
    "benchmark_search": composite,
    "edmips_filter_sensitivity": sensitivity,
    "edmips_layer_sensitivity": sensitivity,
    "edmips_evolution": evolution,
    "edmips_accuracy": accuracy,
    "edmips_allocation": allocation,
    "edmips_ablations": ablations,
    "edmips_networks": networks,
}


def main(_):
    """Draws everything."""
    for name in _DRAWN:
        draw(RESULTS / name, FIGURES)


if __name__ == "__main__":
    app.run(main)
