"""Draws the picture of README.md and of the site's front page from the JSON of `recipes.post_training`.

python -m recipes.front_picture
"""

import json
import pathlib

from tfmp import plots

ROOT = pathlib.Path(__file__).resolve().parents[1]
RUNS = {"uniform": "mobilenet_v1-W3A8-uniform-seed0", "by sensitivities": "mobilenet_v1-W3A8-ilp-seed0"}


def series(folder=ROOT / "recipes" / "results" / "post_training"):
    """Returns the weight bits of every layer, by the run and its accuracy.

    Args:
        folder: Where the runs are.
    """
    found = {}
    for label, name in RUNS.items():
        record = json.loads((folder / f"{name}.json").read_text())
        bits = {layer: weight for layer, (weight, _) in record["bits_by_layer"].items()}
        found[f"{label}: {record['accuracy']:.1%}"] = bits
    return found


def main():
    """Writes docs/figures/mobilenet_bits.png and .svg."""
    record = json.loads((ROOT / "recipes/results/post_training" / f"{RUNS['uniform']}.json").read_text())
    figure = plots.bars(
        series(),
        y_label="bits of the weights",
        title=f"MobileNetV1 on CIFAR-10 without training, {record['float_accuracy']:.1%} in floating point",
    )
    plots.save(figure, ROOT / "docs" / "figures" / "mobilenet_bits")


if __name__ == "__main__":
    main()
