"""Tables of what was measured on the networks of `recipes.float_networks`."""

import collections

import numpy as np

from recipes.intervals import mean_with_interval

_ASSIGNMENTS = ("uniform", "depthwise_8", "ilp")
_LEVELS = ("ranges", "moments", "reconstruction")


def post_training(records):
    """A row per network, bits and assignment of `recipes.post_training`: means over the seeds of the images."""
    groups = collections.defaultdict(dict)
    for record in records.values():
        groups[record["network"], tuple(record["bits"]), record["assignment"]][record["seed"]] = record

    def order(item):
        (network, (weight, activation), assignment), _ = item
        return network, -activation, -weight, _ASSIGNMENTS.index(assignment)

    rows = []
    for (network, bits, assignment), seeds in sorted(groups.items(), key=order):
        by_level = {level: [record["levels"][level] for record in seeds.values()] for level in _LEVELS}
        accuracies = [_mean(100 * found["accuracy"] for found in by_level[level]) for level in _LEVELS]
        float_accuracy = _mean(100 * record["float_accuracy"] for record in seeds.values())
        reconstructed = [100 * record["levels"]["reconstruction"]["accuracy"] for record in seeds.values()]
        spread = f"{max(reconstructed) - min(reconstructed):.2f}" if len(seeds) > 1 else ""
        size = f"{np.mean([found['file_bytes'] for found in by_level['reconstruction']]):,.0f}"
        shown = ", ".join(map(str, sorted(seeds)))
        rows.append([network, f"W{bits[0]}A{bits[1]}", assignment, shown, float_accuracy, *accuracies, spread, size])
    header = ["network", "budget", "bits", "seeds", "float, %", *(f"`{level}`, %" for level in _LEVELS)]
    return [*header, "range over seeds, points", "small file, bytes"], rows


def trained_alike(records):
    """A row per network, cell and way of `recipes.trained_alike`; differences are those of equal seeds."""
    runs = collections.defaultdict(dict)
    for record in records.values():
        runs[record["method"]][record["seed"]] = record
    rows = []
    for name, seeds in runs.items():
        network, *cell, way = name.split("-")
        baselines = (runs.get("-".join([network, *cell, baseline]), {}) for baseline in ("uniform", "ilp"))
        ahead = [
            "" if others is seeds else mean_with_interval(_differences(seeds, others, "accuracy"))
            for others in baselines
        ]
        means = [
            _mean(100 * record[key] for record in seeds.values() if key in record)
            for key in ("start_accuracy", "accuracy", "file_accuracy")
        ]
        rows.append([network, "".join(cell), way, ", ".join(map(str, sorted(seeds))), *means, *ahead])
    rows.sort(key=lambda row: (row[0], row[1]))
    header = ["network", "cell", "way", "seeds", "before training, %", "accuracy, %", "file, %"]
    return [*header, "ahead of uniform, points", "ahead of ilp, points"], rows


def _differences(seeds, others, key):
    return [100 * (seeds[seed][key] - others[seed][key]) for seed in sorted(seeds) if seed in others]


def _mean(values):
    values = list(values)
    return f"{np.mean(values):.2f}" if values else ""
