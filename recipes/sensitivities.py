"""Sensitivities of the float networks, measured once for all recipes and budgets."""

import time

import numpy as np

import tfmp


def calibration_images(images, count, seed):
    """Returns images that a seed draws, without repetition, the same ones for every network and budget."""
    return images[np.random.default_rng(seed).choice(len(images), count, replace=False)]


def sensitivity_of(search_model, images, run, *, divergence="kl"):
    """Returns the scores of a network, measured by the first run that needs them, and the seconds that this took.

    Args:
        search_model: A relaxed model.
        images: Inputs of the network.
        run: The `experiment.Run`, whose settings have `network`, `scores` (a method of `tfmp.measure_sensitivity`),
            `weight_candidates` and `activation_candidates`, and whose `work_dir` keeps the scores.
        divergence: That of `tfmp.measure_sensitivity`.

    Returns:
        `sensitivity, seconds`; None seconds for scores that were measured before.
    """
    config = run.config
    candidates = [config["weight_candidates"], config["activation_candidates"]]
    widths = "-".join("".join(map(str, bits)) for bits in candidates)
    name = f"{config['network']}-{config['scores']}-{len(images)}-{widths}-seed{run.seed}.json"
    path = run.work_dir / "sensitivity" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        return tfmp.Sensitivity.load(path, search_model), None
    start = time.time()
    backup = path.with_suffix(".backup") if config["scores"] == "output" else None
    options = {"method": config["scores"], "divergence": divergence, "backup": backup}
    sensitivity = tfmp.measure_sensitivity(search_model, images, **options)
    sensitivity.save(path)
    return sensitivity, round(time.time() - start, 1)
