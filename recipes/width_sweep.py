"""Width against precision at equal size: networks of fewer bits and more channels, trained from scratch.

    python -m recipes.width_sweep --config=width_resnet20 --seeds=0,1
    python -m recipes.width_sweep --config=width_mobilenet_v2 --methods=W1-size0.25,W4-size0.25

Each run of a configuration trains one network at fixed bits (W2: kernels at 2 bits; D4: depthwise ones at 4), the first
and the last layer at 8 bits. Its width is that at which its kernels take as many bits as those of the network at 8 bits
and the width `size_of`, or `width` itself. `width_resnet20`, `width_vgg11` and `width_mobilenet_v2` are the sweeps of
fig. 1 of DualPrecision in small, `width_inv_resnet26` fig. 2, `width_vgg11_variants` fig. 3, `width_vgg11_growth`
table 1 and `width_vgg11_fan_in` table 2 and fig. 4, whose runs `-grown` are twice as wide. `width_cifar100_*` and
`width_imagenet_*` have the schedules of the paper, the latter for `--set=dataset=FOLDER`.
"""

import keras

import tfmp
from recipes import experiment, width_tables
from recipes.datasets.augmented_images import AugmentedImages, EpochSeed
from recipes.image_sets import image_set
from tfmp.width.width_for_size import kernel_bits


def run_train(run):
    """Trains a network of given bits, at the width that they allow."""
    config = run.config
    images = image_set(config, run.seed)
    network = tfmp.networks.get(config["network"])

    arguments = {"image_size": config["image_size"], "num_classes": images.num_classes, **config["network_arguments"]}

    def build(width):
        if config["fixed_ends"]:
            return tfmp.width.scale_width(network(keras, **arguments), width, fixed_ends=True, keep=config["keep"])
        return network(keras, width=width, **arguments)

    bits = {"weight_bits": config["weight_bits"], "depthwise_bits": config["depthwise_bits"]}
    found = width_of(build, bits, config)
    keras.utils.set_random_seed(run.seed)
    model = tfmp.width.dual_precision(build(found.width), **bits, activation_bits=config["activation_bits"])
    # By name: in groups of several channels these are no depthwise convolutions any more.
    record = tfmp.width.MagnitudeVariance(model, layers="*_depthwise") if config["record_magnitudes"] else None
    history = train(model, images.training, config, record)
    return {
        "accuracy": model.evaluate(**images.test, verbose=0, return_dict=True)["accuracy"],
        "width": found.width,
        "size_bits": found.size_bits,
        "target_bits": found.target_bits,
        **bits,
        "magnitude_variance": None if record is None else record.result(),
        "history": history,
    }


def width_of(build, bits, config):
    """The `tfmp.width.Width` at which a network of these bits has the size that the settings ask for."""
    if config["width"] is not None:
        size = kernel_bits(build(config["width"]), **bits)
        return tfmp.width.Width(config["width"], size, size)
    target = kernel_bits(build(config["size_of"]), 8)
    if kernel_bits(build(config["size_of"]), **bits) == target:
        return tfmp.width.Width(config["size_of"], target, target)
    return tfmp.width.width_for_size(build, target, **bits, tolerance=config["tolerance"])


def train(model, training, config, record):
    """Trains from the first weights: a warm-up, then a cosine, with SGD; returns the history."""
    steps = len(training)
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0,
        round((config["epochs"] - config["warmup_epochs"]) * steps),
        warmup_target=config["learning_rate"],
        warmup_steps=round(config["warmup_epochs"] * steps),
    )
    optimizer = keras.optimizers.SGD(schedule, momentum=0.9, nesterov=True, weight_decay=config["weight_decay"])
    model.compile(optimizer, loss(config), metrics=["accuracy"])
    callbacks = [EpochSeed(training)] if isinstance(training, AugmentedImages) else []
    if record is not None:
        callbacks.append(keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: record.update()))
    return model.fit(training, epochs=config["epochs"], shuffle=False, callbacks=callbacks, verbose=2).history


def loss(config):
    """Cross-entropy of logits, with smoothed labels where the settings say so."""
    smoothing = config["label_smoothing"]
    if not smoothing:
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def smoothed(labels, logits):
        classes = keras.ops.shape(logits)[-1]
        targets = keras.ops.one_hot(keras.ops.cast(keras.ops.reshape(labels, (-1,)), "int32"), classes)
        targets = targets * (1 - smoothing) + smoothing / classes
        return keras.losses.categorical_crossentropy(targets, logits, from_logits=True)

    return smoothed


METHODS = {"train": run_train}

if __name__ == "__main__":
    experiment.main("width_resnet20", METHODS, finish=width_tables.draw)
