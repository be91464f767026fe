"""Trained float networks, from which the experiments start.

    python -m recipes.float_networks                        # all three, some hours of one core
    python -m recipes.float_networks --methods=resnet8

Trains on all 50,000 images of CIFAR-10, with flips and crops. A killed run resumes after its last complete
epoch. The weights of a finished run, an array for each variable, are beside its JSON, in
`recipes/results/float_networks/`.

    from recipes import float_networks
    model = float_networks.load("mobilenet_v1")
"""

import json
import pathlib

import keras
import numpy as np

import tfmp
from recipes import classifier, experiment
from recipes.datasets.augmented_images import EpochSeed
from tfmp.files.atomic_file import replacement

_FOLDER = experiment.RESULTS / "float_networks"


def names() -> tuple[str, ...]:
    """The networks that `load` knows."""
    return tuple(experiment.load_config("float_networks")["runs"])


def load(name, *, seed=0, folder=None) -> keras.Model:
    """Returns a trained network.

    Args:
        name: One of `names()`.
        seed: The seed that it was trained with.
        folder: Folder of the finished runs; None for `recipes/results/float_networks/`.

    Returns:
        A functional model from normalized images (`recipes.classifier.normalized`) to logits, not compiled.

    Raises:
        ValueError: If the name is unknown.
        FileNotFoundError: If the run is not finished.
    """
    if name not in names():
        raise ValueError(f"A network must be one of {', '.join(names())}. Received: {name!r}")
    record = (_FOLDER if folder is None else pathlib.Path(folder)) / f"{name}-seed{seed}.json"
    if not record.exists():
        raise FileNotFoundError(
            f"There is no {record}. Run `python -m recipes.float_networks --methods={name} --seeds={seed}` first."
        )
    model = _build(json.loads(record.read_text())["config"])
    with np.load(_weights_path(record)) as weights:
        for variable in model.variables:
            variable.assign(weights[variable.path])
    return model


def train(run):
    """Trains one network and leaves its weights beside its record."""
    keras.utils.set_random_seed(run.seed)
    config = run.config
    model = _build(config)
    data, (_, test) = classifier.datasets(config, run.seed)
    rate = learning_rate(config, len(data))
    classifier.compile_model(model, keras.optimizers.SGD(rate, momentum=0.9, nesterov=True))
    run.backup_dir.parent.mkdir(parents=True, exist_ok=True)
    backup = keras.callbacks.BackupAndRestore(str(run.backup_dir), delete_checkpoint=False)
    log = keras.callbacks.CSVLogger(f"{run.backup_dir}.csv", append=True)
    callbacks = [EpochSeed(data), log, backup]
    model.fit(data, epochs=config["epochs"], shuffle=False, callbacks=callbacks, verbose=2)
    accuracy = classifier.accuracy(model, test)
    path = _weights_path(run.path)
    path.parent.mkdir(parents=True, exist_ok=True)
    weights = {variable.path: variable.numpy() for variable in model.variables}
    with replacement(path, overwrite=True, suffix=".npz") as beside:
        np.savez_compressed(beside, **weights)
    return {
        "accuracy": accuracy,
        "num_parameters": model.count_params(),
        "macs": tfmp.cost(model, "flops"),
        "num_test": len(test[0]),
    }


def learning_rate(config, steps_per_epoch):
    """A learning rate that falls to zero in every cycle (Loshchilov and Hutter, 2017, eq. 5)."""
    steps = config["epochs"] * steps_per_epoch // config["cycles"]
    return keras.optimizers.schedules.CosineDecayRestarts(config["learning_rate"], steps, t_mul=1.0)


def _build(config):
    build = tfmp.networks.get(config["network"])
    return build(keras, image_size=32, num_classes=10, width=config["width"])


def _weights_path(record):
    return record.with_suffix(".npz")


METHODS = {"train": train}

if __name__ == "__main__":
    experiment.main("float_networks", METHODS)
