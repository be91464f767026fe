"""Levels of quantization without training: ranges, moments and learned rounding at equal bits.

    python -m recipes.post_training --seeds=0,1,2                        # everything, some hours of one core
    python -m recipes.post_training --methods=mobilenet_v1-W4A8-uniform

A run quantizes one network of `recipes.float_networks` at the bits of one assignment, once at each level, from images
of the training set that the seed draws. The assignments have the kernel bytes of uniform bits, or for activations below
8 bits their BitOps. Its JSON has, for each level, the accuracy on the 10,000 test images, the bytes
of the small file and the seconds that it took. A killed run resumes after its last block. Where two assignments give
equal bits, as `depthwise_8` does for a network without depthwise layers, the second run takes the first one's levels.

Every finished run leaves one JSON in `recipes/results/post_training/`; runs whose JSON exists are skipped.
"""

import dataclasses
import functools
import json
import pathlib
import tempfile
import time

import tfmp
from recipes import classifier, experiment, float_networks
from recipes.sensitivities import calibration_images, sensitivity_of

BITS = ((8, 8), (5, 8), (4, 8), (3, 8), (4, 4))  # of weights and activations
LEVELS = ("ranges", "moments", "reconstruction")
ASSIGNMENTS = ("uniform", "depthwise_8", "ilp")


def assign(name, model, bits, images, run):
    """Returns the bits that a baseline gives to a float network at the cost of uniform bits."""
    if name == "uniform":
        return tfmp.BitAssignment.uniform(model, *bits)
    config, weights_only = run.config, bits[1] == 8
    candidates = config["weight_candidates"], [8] if weights_only else config["activation_candidates"]
    search_model = tfmp.relax(model, weight_bits=candidates[0], activation_bits=candidates[1], calibration=images)
    settings = {**config, "weight_candidates": candidates[0], "activation_candidates": candidates[1]}
    scores = None
    if name == "ilp":
        scores, _ = sensitivity_of(search_model, images, dataclasses.replace(run, config=settings))
    budget = tfmp.Budget("model_size" if weights_only else "bitops", like_uniform=bits)
    return tfmp.assign.by_name(name, search_model, budget, sensitivity=scores)


def small_file_bytes(model):
    """Returns the bytes of the file that packs the weights of a fixed model."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "model.tflite"
        tfmp.export_tflite(model, path, mode="small")
        return path.stat().st_size


def finished_levels(run, network, bits_by_layer):
    """Returns the levels of a finished run with the same settings, seed and bits of all layers, or None."""
    for path in sorted(run.results_dir.glob(f"{network}-*-seed{run.seed}.json")):
        record = json.loads(path.read_text())
        if record["bits_by_layer"] == bits_by_layer and record["config"] == dict(run.config):
            return record["levels"]
    return None


def measured_levels(run, model, found, images, test):
    """Quantizes a float model at every level, and returns what is measured by level."""
    levels = {}
    for level in LEVELS:
        settings = level
        if level == "reconstruction":
            iterations = run.config["iterations"]
            settings = tfmp.Reconstruction(iterations=iterations, seed=run.seed, backup_dir=run.backup_dir)
        start = time.time()
        fixed = tfmp.quantize(model, found, calibration=images, post_training=settings)
        seconds = round(time.time() - start, 1)
        levels[level] = {"accuracy": accuracy(fixed, test), "seconds": seconds, "file_bytes": small_file_bytes(fixed)}
    return levels


def quantize(run, network, bits, assignment):
    """Quantizes one network at the bits of one assignment, at every level."""
    config = run.config
    model = float_networks.load(network, folder=config["float_folder"])
    _, (x_train, test) = classifier.datasets({"num_train": config["num_train"], "batch_size": 128}, run.seed)
    images = calibration_images(x_train, config["num_calibration"], run.seed)
    found = assign(assignment, model, bits, images, dataclasses.replace(run, config={**config, "network": network}))
    bits_by_layer = {name: list(pair) for name, pair in found.bits.items()}
    levels = finished_levels(run, network, bits_by_layer) or measured_levels(run, model, found, images, test)
    return {
        "network": network,
        "bits": list(bits),
        "assignment": assignment,
        "accuracy": levels["reconstruction"]["accuracy"],
        "float_accuracy": accuracy(model, test),
        "levels": levels,
        "bits_by_layer": bits_by_layer,
        "num_test": len(test[0]),
    }


def accuracy(model, test):
    """Share of the test images that a model gets right."""
    classifier.compile_model(model, "sgd")
    return classifier.accuracy(model, test)


METHODS = {
    f"{network}-W{bits[0]}A{bits[1]}-{assignment}": functools.partial(
        quantize, network=network, bits=bits, assignment=assignment
    )
    for network in float_networks.names()
    for bits in BITS
    for assignment in ASSIGNMENTS
}

if __name__ == "__main__":
    experiment.main("post_training", METHODS)
