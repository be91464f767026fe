"""One step per output channel or one per kernel: the same networks, bits and training with both.

    python -m recipes.step_granularity --seeds=0,1,2
    python -m recipes.step_granularity --methods=mobilenet_v1-W3A8-channel,mobilenet_v1-W3A8-tensor

A run is named after its network (one of `recipes.float_networks`), its uniform bits and the granularity of its kernels'
LSQ steps. The first and the last layer have 8 bits. A run fits the ranges of the trained network's quantizers and then
trains it for `epochs`; its JSON has both accuracies on the 10,000 test images.

Every finished run leaves one JSON in `recipes/results/step_granularity/`; runs whose JSON exists are skipped.
"""

import functools

import keras

import tfmp
from recipes import classifier, experiment, float_networks
from recipes.sensitivities import calibration_images

BITS = ((2, 2), (3, 8), (4, 8))  # of weights and activations
GRANULARITIES = ("tensor", "channel")


def train(run, network, bits, granularity):
    """Quantizes a trained network with one granularity of steps, and trains it."""
    config = run.config
    model = float_networks.load(network, folder=config["float_folder"])
    keras.utils.set_random_seed(run.seed)
    data, (x_train, test) = classifier.datasets(config, run.seed)
    images = calibration_images(x_train, config["num_calibration"], run.seed)
    quantizer = f"lsq(granularity={granularity!r})", "lsq"
    fixed = tfmp.quantize(model, bits, calibration=images, quantizer=quantizer, post_training="ranges")
    classifier.compile_model(fixed, "sgd")
    start = classifier.accuracy(fixed, test)
    _, accuracy = classifier.train(fixed, data, test, config["epochs"], config["learning_rate"])
    return {
        "network": network,
        "bits": list(bits),
        "granularity": granularity,
        "start_accuracy": start,
        "accuracy": accuracy,
        "num_test": len(test[0]),
    }


METHODS = {
    f"{network}-W{bits[0]}A{bits[1]}-{granularity}": functools.partial(
        train, network=network, bits=bits, granularity=granularity
    )
    for network in float_networks.names()
    for bits in BITS
    for granularity in GRANULARITIES
}

if __name__ == "__main__":
    experiment.main("step_granularity", METHODS)
