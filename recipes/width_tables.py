"""Tables and pictures of what `recipes.width_sweep` measured."""

import collections
import json
import pathlib

import numpy as np

from tfmp import plots
from tfmp.reports import ParetoFront

_GROWN = "-grown"


def precision(record):
    """The bits of a run: `W4`, or `W1 D4` where depthwise kernels have others."""
    depthwise = record["depthwise_bits"]
    return f"W{record['weight_bits']}" + ("" if depthwise in (None, record["weight_bits"]) else f" D{depthwise}")


def by_size(records):
    """A row for each network, size and precision, over its seeds: the widths that equal sizes allow."""
    groups = collections.defaultdict(list)
    for name, record in records.items():
        groups[_variant(name, record), record["target_bits"], precision(record)].append(record)
    best = collections.defaultdict(float)
    for (variant, target, _), runs in groups.items():
        best[variant, target] = max(best[variant, target], _accuracy(runs))
    rows = []
    for (variant, target, bits), runs in sorted(
        groups.items(), key=lambda item: (*item[0][:2], [-bits for bits in _bits(item[1])])
    ):
        runs = sorted(runs, key=lambda record: record["seed"])
        mean, first = _accuracy(runs), runs[0]
        shown = f"**{mean:.2f}**" if mean == best[variant, target] else f"{mean:.2f}"
        rows.append(
            [
                variant,
                bits,
                f"{first['width']:.3g}",
                f"{first['size_bits'] / 1e3:.0f}",
                f"{first['size_bits'] / target - 1:+.1%}",
                ", ".join(str(record["seed"]) for record in runs),
                ", ".join(f"{100 * record['accuracy']:.2f}" for record in runs),
                shown,
            ]
        )
    header = ["network", "bits", "width", "size, 10^3 bits", "off the target", "seeds", "test accuracy, %", "mean"]
    return header, rows


def changes(records):
    """A row for each network: what quantizing from 4 to 1 bit loses, what growing to twice the width gains back.

    Differences are those of equal seeds, at the width of the run at 4 bits.
    """
    runs = {}
    for name, record in records.items():
        grown = record["method"].endswith(_GROWN)
        width = record["width"] / 2 if grown else record["width"]
        depthwise = record["depthwise_bits"] or "as the others"
        key = _variant(name, record), depthwise, width
        role = "grown" if grown else {1: "low", 4: "high"}.get(record["weight_bits"])
        runs.setdefault(key, {}).setdefault(role, {})[record["seed"]] = record
    rows = []
    for (variant, depthwise, width), roles in runs.items():
        seeds = sorted(set.intersection(*(set(roles.get(role, ())) for role in ("high", "low", "grown"))))
        if not seeds:
            continue
        high, low, grown = (
            np.array([100 * roles[role][seed]["accuracy"] for seed in seeds]) for role in ("high", "low", "grown")
        )
        deviations = [roles["low"][seed].get("magnitude_variance") for seed in seeds]
        variance = np.mean([np.mean(list(each.values())) for each in deviations if each]) if any(deviations) else None
        rows.append(
            [
                variant,
                str(depthwise),
                f"{width:g}",
                ", ".join(map(str, seeds)),
                *(_spread(values) for values in (high, low - high, grown - low, grown - high)),
                "" if variance is None else f"{variance:.2e}",
            ]
        )
    header = [
        "network",
        "depthwise bits",
        "width",
        "seeds",
        "W4, %",
        "ΔAcc_Q",
        "ΔAcc_G",
        "ΔAcc",
        "Var(mean\\|w\\|) at W1",
    ]
    return header, rows


def draw(folder, figures):
    """Draws accuracy against size, a staircase for each precision.

    Args:
        folder: Folder of the JSON of runs.
        figures: Folder of the pictures.
    """
    folder = pathlib.Path(folder)
    variants = collections.defaultdict(lambda: collections.defaultdict(list))
    for path in sorted(folder.glob("*.json")):
        record = json.loads(path.read_text())
        variants[_variant(path.stem, record)][precision(record), record["size_bits"]].append(record)
    for variant, points in sorted(variants.items()):
        points = [
            {"bits": bits, "size, 10^3 bits": size / 1e3, "test accuracy, %": _accuracy(runs)}
            for (bits, size), runs in sorted(points.items())
        ]
        front = ParetoFront(points, "size, 10^3 bits", "test accuracy, %")
        figures.mkdir(parents=True, exist_ok=True)
        name = "_".join([folder.name, *variant.split()[1:]])
        for path in plots.save(plots.pareto_front(front, group="bits", title=variant), figures / name):
            print(path)


def _variant(name, record):
    """The network with its arguments, and the settings of the command line that the name of a run shows."""
    arguments = record["config"]["network_arguments"]
    shown = [str(arguments["variant"])] if "variant" in arguments else []
    if "fan_in" in arguments:
        channels, side = arguments["fan_in"]
        shown.append(f"{channels}x{side}x{side}")
    settings = name.removesuffix(f"-seed{record['seed']}").removeprefix(record["method"]).removeprefix("-")
    return " ".join([record["config"]["network"], *shown, *([settings] if settings else [])])


def _accuracy(runs):
    return 100 * float(np.mean([record["accuracy"] for record in runs]))


def _bits(runs):
    return runs[0]["weight_bits"], runs[0]["depthwise_bits"] or runs[0]["weight_bits"]


def _spread(values):
    """Mean, and the deviation over seeds where there are several."""
    return f"{values.mean():+.2f}" + (f" ± {values.std(ddof=1):.2f}" if len(values) > 1 else "")
