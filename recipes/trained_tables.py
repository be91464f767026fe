"""Tables of what was measured on the networks of `recipes.float_networks`."""

import collections
import math

import numpy as np
from scipy import stats

from recipes.intervals import mean_with_interval

_ASSIGNMENTS = ("uniform", "depthwise_8", "ilp")
_WAYS = ("int8", "uniform", "ilp", "searched")
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


def post_training_summary(records):
    """A row per network and budget below 5 bits: the accuracy of each assignment with learned rounding."""
    header, rows = post_training(records)
    rounded = header.index("`reconstruction`, %")
    found = {(network, budget, bits): row for row in rows for network, budget, bits in [row[:3]]}
    shown = dict.fromkeys((row[0], row[1]) for row in rows if row[1] in ("W4A8", "W3A8", "W4A4"))
    cells = [[found.get((*key, bits), {rounded: ""})[rounded] for bits in _ASSIGNMENTS] for key in shown]
    floats = [next(row[4] for row in rows if (row[0], row[1]) == key) for key in shown]
    table = [[*key, floating, *each] for key, floating, each in zip(shown, floats, cells, strict=True)]
    return ["network", "budget", "float, %", *(f"`{bits}`, %" for bits in _ASSIGNMENTS)], table


def step_granularity(records):
    """A row per network and bits of `recipes.step_granularity`; differences are those of equal seeds."""
    runs = collections.defaultdict(lambda: collections.defaultdict(dict))
    for record in records.values():
        runs[record["network"], *record["bits"]][record["granularity"]][record["seed"]] = record
    rows = []
    for (network, *bits), by_granularity in sorted(runs.items()):
        cells = []
        for key in ("start_accuracy", "accuracy"):
            pair = [by_granularity[granularity] for granularity in ("tensor", "channel")]
            cells += [_mean(100 * record[key] for record in seeds.values()) for seeds in pair]
            cells.append(mean_with_interval(_differences(*reversed(pair), key)))
        seeds = ", ".join(map(str, sorted({*by_granularity["tensor"]} | {*by_granularity["channel"]})))
        rows.append([network, "W{}A{}".format(*bits), seeds, *cells])
    header = [f"{when} training, a step per {of}" for when in ("before", "after") for of in ("kernel, %", "channel, %")]
    for place in (2, 5):
        header.insert(place, "difference, points")
    return ["network", "bits", "seeds", *header], rows


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


def forecast(records):
    """A row per network, budget and baseline of `recipes.forecast`, and one of the rank correlation."""
    rows = []
    for record in records.values():
        realized = record["realized"]
        for name, gain in record["predicted_gain"].items():
            points = 100 * (realized["ilp"]["accuracy"] - realized[name]["accuracy"])
            budget = "W{}A{}".format(*record["bits"])
            found = record["realized_gain"][name]
            rows.append([record["network"], budget, name, f"{gain:.2f}", f"{found:.2f}", f"{points:+.2f}"])
    correlation, p_value, count = rank_correlation(list(records.values()))
    if correlation is not None:
        rows.append(["rank correlation", "", f"{count} pairs", f"{correlation:.2f}", f"p = {p_value:.1g}", ""])
    header = ["network", "budget", "ilp over", "predicted gain", "realized gain"]
    return [*header, "accuracy after training only, points"], rows


def mlperf_tiny(records):
    """A row per network, budget and way of `recipes.mlperf_tiny`; differences are those of equal seeds."""
    runs = collections.defaultdict(dict)
    for record in records.values():
        runs[record["method"]][record["seed"]] = record

    def order(item):
        name, seeds = item
        network, *budget, way = name.split("-")
        flash = int(budget[0].removesuffix("k")) if budget else math.inf
        return network, -flash, _WAYS.index(way)

    rows = []
    for name, seeds in sorted(runs.items(), key=order):
        network, *budget, way = name.split("-")
        found = list(seeds.values())
        flash, arena = (", ".join(f"{record[key]:,}" for record in found) for key in ("flash_bytes", "arena_bytes"))
        equal = ["{operators_all_equal} of {operators}".format(**record) for record in found if "operators" in record]
        ahead = ["", ""]
        if way in ("ilp", "searched"):
            others = (runs.get("-".join(parts), {}) for parts in ((network, *budget, "uniform"), (network, "int8")))
            ahead = [mean_with_interval(_differences(seeds, other, "accuracy")) for other in others]
        accuracy, floating = (_mean(100 * record[key] for record in found) for key in ("accuracy", "float_accuracy"))
        bits = " ".join(str(weight) for weight, _ in found[0].get("bits", {}).values())
        rows.append(
            [network, " / ".join(budget), way, floating, accuracy, *ahead, flash, arena, ", ".join(equal), bits]
        )
    header = ["network", "flash / RAM", "way", "float, %", "accuracy, %", "ahead of uniform, points"]
    return [*header, "ahead of int8, points", "flash, bytes", "arena, bytes", "operators equal", "weight bits"], rows


def compress_networks(records):
    """A row per run of `recipes.compress_networks`."""
    rows = [
        [
            record["method"],
            f"`{record['options']}`",
            ", ".join(dict.fromkeys(record["ways"])),
            f"{100 * record['float_accuracy']:.2f}",
            f"{100 * record['accuracy']:.2f}",
            f"{record['file_bytes']:,}",
            f"{record['cpu_seconds']:.0f}",
            f"{record['wall_seconds']:.0f}",
        ]
        for record in records.values()
    ]
    header = ["network", "options", "ways considered", "float, %", "file, %", "file, bytes", "processor time, s"]
    return [*header, "wall time, s"], rows


def rank_correlation(records):
    """Returns the rank correlation of predicted and realized gains, its p-value and the number of pairs.

    Args:
        records: The records of runs; each has a gain over uniform bits, and some one over `depthwise_8`.
    """
    pairs = [
        (record["predicted_gain"][name], record["realized_gain"][name])
        for record in records
        for name in record["predicted_gain"]
    ]
    if len(pairs) < 3:
        return None, None, len(pairs)
    correlation, p_value = stats.spearmanr(*zip(*pairs, strict=True))
    return float(correlation), float(p_value), len(pairs)


def _differences(seeds, others, key):
    return [100 * (seeds[seed][key] - others[seed][key]) for seed in sorted(seeds) if seed in others]


def _mean(values):
    values = list(values)
    return f"{np.mean(values):.2f}" if values else ""
