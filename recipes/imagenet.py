"""EdMIPS on ImageNet, with the schedules of its section 5.1, for any of its networks.

    TFMP_DATA_DIR=/data python -m recipes.imagenet --config=imagenet_resnet18   # and alexnet, googlenet, resnet50,
                                                                               # inception_v3

The images are `$TFMP_DATA_DIR/imagenet/train/CLASS/*` and `.../val/CLASS/*`; `--set=folder=...` names another folder.

- `search`: searches bits for 25 epochs with the published eta, all weights from scratch, and takes the most probable.
- `mixed`: trains a network of those bits from scratch, for 50 epochs.
- `uniform`: trains one of `uniform_bits` everywhere in the same way.
- `mixed_final`, `uniform_final`: the same for 95 epochs, as the paper's comparison with others.

The first and the last layer stay in floating point. Killed runs resume after the last complete epoch.
"""

import os
import pathlib

import keras

import tfmp
from recipes import experiment
from recipes.assignments import equivalent_bits
from recipes.datasets.image_folder import ImageFolder
from recipes.epoch_records import EpochRecords

_MOMENTUM = 0.9
_WEIGHT_DECAY = 1e-4


def folder_of(config):
    """The folder with `train` and `val`."""
    root = pathlib.Path(os.environ.get("TFMP_DATA_DIR", "~/.cache/tfmp")) / "imagenet"
    return pathlib.Path(config["folder"] or root).expanduser()


class PublishedSGD(keras.optimizers.SGD):
    """Decays every variable inside of the momentum, as the paper's code does; Keras decays beside it."""

    def update_step(self, gradient, variable, learning_rate):
        decay = _WEIGHT_DECAY * keras.ops.cast(variable, gradient.dtype)
        super().update_step(gradient + decay, variable, learning_rate)


class Task:
    """Images and new networks of a run."""

    def __init__(self, run):
        config, self.seed = run.config, run.seed
        training, validation = (ImageFolder(folder_of(config) / split) for split in ("train", "val"))
        size, batch_size = config["image_size"], config["batch_size"]
        self.config, self.num_classes = config, training.num_classes
        self.steps_per_epoch = len(training) // batch_size
        self.training = training.training(size, batch_size, seed=run.seed)
        self.validation = validation.evaluation(size, batch_size)

    def relaxed(self, weight_bits, activation_bits):
        """A network with new weights and these candidates; new weights have no activations to calibrate ranges on."""
        config = self.config
        keras.utils.set_random_seed(self.seed)
        network = tfmp.networks.get(config["network"])
        arguments = {"image_size": config["image_size"], "num_classes": self.num_classes, "width": config["width"]}
        return tfmp.relax(
            network(keras, **arguments),
            weight_bits=weight_bits,
            activation_bits=activation_bits,
            quantizer=config["quantizer"],
            relaxation=config["relaxation"],
            first_and_last="float",
            seed=self.seed,
        )

    def searchable(self):
        """A network with new weights and the candidates of the configuration."""
        return self.relaxed(tuple(self.config["weight_bits"]), tuple(self.config["activation_bits"]))

    def compile(self, model, epochs, decay_epochs, selection=None):
        """The published setting; the learning rates fall to a tenth every `decay_epochs` epochs."""

        def sgd(learning_rate):
            boundaries = [self.steps_per_epoch * epoch for epoch in range(decay_epochs, epochs, decay_epochs)]
            rates = [learning_rate * 0.1**step for step in range(len(boundaries) + 1)]
            schedule = keras.optimizers.schedules.PiecewiseConstantDecay(boundaries, rates)
            return PublishedSGD(schedule if boundaries else learning_rate, _MOMENTUM)

        for variable in model.trainable_variables:
            variable.regularizer = None  # the networks' L2, whose gradient is twice this decay
        optimizer = sgd(self.config["learning_rate"])
        if selection is not None:
            optimizer = tfmp.SelectionOptimizer(optimizer, sgd(selection))
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        top_5 = keras.metrics.SparseTopKCategoricalAccuracy(5, name="top_5")
        model.compile(optimizer, loss, metrics=["accuracy", top_5])

    def fit(self, model, epochs, decay_epochs, callbacks, selection=None):
        """Trains from scratch; arguments as of `compile`. Returns the history."""
        self.compile(model, epochs, decay_epochs, selection)
        data = {"x": self.training, "validation_data": self.validation}
        return model.fit(**data, epochs=epochs, callbacks=callbacks, shuffle=False, verbose=2).history

    def measured(self, model, history):
        """What every record has."""
        found = model.evaluate(self.validation, return_dict=True, verbose=0)
        return {"accuracy": found["accuracy"], "top_5_accuracy": found["top_5"], "history": history}


def run_search(run):
    """Searches; the record has the bits that are most probable in the end."""
    task, config = Task(run), run.config
    model = task.searchable()
    budget = None if config["eta"] else tfmp.Budget("bitops", like_uniform=tuple(config["uniform_bits"]))
    search = tfmp.MixedPrecisionSearch(budget, eta=config["eta"], backup_dir=run.backup_dir)
    records = EpochRecords(search, run.backup_dir)
    epochs = config["search_epochs"], config["search_decay_epochs"]
    task.fit(model, *epochs, [search, records], config["selection_learning_rate"])
    strategy = "argmax" if config["eta"] else "budget"
    bits = {name: list(pair) for name, pair in tfmp.discretize(model, strategy=strategy, budget=budget).bits.items()}
    return {**task.measured(model, records.history), "bits": bits, "equivalent_bits": equivalent_bits(model, bits)}


def run_mixed(run):
    """Trains a network of the searched bits from scratch."""
    found = run.result_of("search")
    task = Task(run)
    fixed = tfmp.fix(task.searchable(), {name: tuple(pair) for name, pair in found["bits"].items()})
    return {**_trained(task, fixed, run), "equivalent_bits": found["equivalent_bits"]}


def run_uniform(run):
    """Trains a network of uniform bits from scratch."""
    task, (weight_bits, activation_bits) = Task(run), run.config["uniform_bits"]
    return _trained(task, task.relaxed((weight_bits,), (activation_bits,)), run)


def _trained(task, model, run):
    backup = keras.callbacks.BackupAndRestore(str(run.backup_dir))
    history = task.fit(model, run.config["epochs"], run.config["decay_epochs"], [backup])
    return {**task.measured(model, history), "bitops": tfmp.cost(model, "bitops")}


METHODS = {"search": run_search, "mixed": run_mixed, "uniform": run_uniform}

if __name__ == "__main__":
    experiment.main("imagenet_resnet18", METHODS)
