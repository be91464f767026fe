"""Small searches that may be killed: `python killed_search.py FOLDER DEATH RESULT SEARCH [RESULT]`.

SEARCH is a relaxation, or `alternating`: logits that learn on data of their own, until they are decided. It keeps its
backup in `FOLDER/SEARCH`. DEATH is `never`, `after_epoch` (the first) or `while_saving` (the second epoch). A search
that lives leaves weights and assignment in `FOLDER/SEARCH-RESULT.npz` and `.json`; with another RESULT, one without a
backup runs after it.
"""

import json
import os
import signal
import sys

import keras
import numpy as np
import tensorflow as tf
from keras import layers as kl

import tfmp

SETTINGS = {
    "weights_seed": 3,
    "units": 4,
    "weight_bits": (1, 2, 4),
    "rate": 0.05,
    "selection_rate": 0.05,
    "decay_steps": 1000,
    "budget": (2, 2),
    "loss": "mse",
    "seed": 7,
    "inputs_seed": 6,
    "selection_inputs_seed": 5,
    "selection_seed": 4,
    "freeze_above": 0.52,
    "multiplier_rate": 0.01,
}


class Data(keras.utils.PyDataset):
    """Batches whose order depends on the seed and the epoch alone."""

    epoch = 0

    def __init__(self, seed):
        super().__init__()
        self.seed = seed

    def __len__(self):
        return 4

    def __getitem__(self, index):
        rng = np.random.default_rng((self.seed, self.epoch, index))
        x = rng.normal(size=(8, 6, 6, 2)).astype(np.float32)
        return x, x.mean((1, 2)) @ [[1.0], [-2.0]] + x[:, 0, 0, :1]


class Conditions(keras.callbacks.Callback):
    def __init__(self, data, death):
        super().__init__()
        self.data, self.death = data, death

    def on_epoch_begin(self, epoch, logs=None):
        self.data.epoch = epoch
        if self.death == "after_epoch" and epoch == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.death == "interrupted" and epoch == 1:
            raise KeyboardInterrupt

    def on_epoch_end(self, epoch, logs=None):
        if self.death == "while_saving" and epoch == 1:
            os.replace = lambda source, target: os.kill(os.getpid(), signal.SIGKILL)


def prepared(folder, name, **changed):
    """A compiled search model, its search with a backup in `folder`, the data and the budget."""
    settings = {**SETTINGS, **changed}
    keras.utils.set_random_seed(settings["weights_seed"])
    x = inputs = keras.Input((6, 6, 2))
    x = kl.ReLU()(kl.BatchNormalization()(kl.Conv2D(3, 3, name="one")(x)))
    # Noise is drawn and decisions are kept by name; else a layer may have another one in every process.
    names = (None, None) if name == "softmax" else ("two", "three")
    x = kl.Dropout(0.2)(kl.ReLU()(kl.BatchNormalization()(kl.Conv2D(3, 3, name=names[0])(x))))
    x = kl.Dense(settings["units"], activation="relu", name=names[1])(kl.Flatten()(x))
    model = keras.Model(inputs, kl.Dense(1, name="four")(x))
    relaxation, options = name, {}
    if name == "alternating":
        x = np.random.default_rng(settings["selection_inputs_seed"]).normal(size=(20, 6, 6, 2)).astype(np.float32)
        pair = x, x.mean((1, 2)) @ [[2.0], [1.0]]
        data = tfmp.SelectionData(pair, batch_size=8, every=3, seed=settings["selection_seed"])
        relaxation, options = "softmax", {"selection_data": data, "freeze_above": settings["freeze_above"]}
    candidates = {"weight_bits": settings["weight_bits"], "activation_bits": (2, 4)}
    search_model = tfmp.relax(model, **candidates, relaxation=relaxation)
    rate = keras.optimizers.schedules.CosineDecay(settings["rate"], settings["decay_steps"])
    weights, selection = keras.optimizers.SGD(rate, momentum=0.9), keras.optimizers.Adam(settings["selection_rate"])
    search_model.compile(tfmp.SelectionOptimizer(weights, selection), settings["loss"], run_eagerly=True)
    budget = tfmp.Budget("bitops", like_uniform=settings["budget"])
    inputs = np.random.default_rng(settings["inputs_seed"]).normal(size=100)
    search = tfmp.MixedPrecisionSearch(
        budget,
        multiplier=tfmp.search.DualAscent(learning_rate=settings["multiplier_rate"]),
        backup_dir=folder,
        identity={"x": inputs, "seed": settings["seed"]},
        **options,
    )
    return search_model, search, Data(settings["seed"]), budget


def run(folder, death, result, name, *, backup=True):
    search_model, search, data, budget = prepared(os.path.join(folder, name) if backup else None, name)
    callbacks = [Conditions(data, death), search]
    history = search_model.fit(data, epochs=3, shuffle=False, callbacks=callbacks, verbose=0)
    assignment = tfmp.discretize(search_model, strategy="budget", budget=budget)
    variables = [*search_model.variables, *search_model.optimizer.variables]
    path = os.path.join(folder, f"{name}-{result}")
    np.savez(f"{path}.npz", *[np.asarray(v) for v in variables])
    summary = {
        "bits": list(assignment.bits.values()),
        "epochs": history.epoch,
        "costs": history.history["expected_cost"],
        "multiplier": search.multiplier.state(),
        "decided": history.history.get("decided"),
    }
    with open(f"{path}.json", "w", encoding="utf-8") as file:
        json.dump(summary, file)


if __name__ == "__main__":
    tf.config.experimental.enable_op_determinism()
    folder, death, result, name, *unbroken = sys.argv[1:]
    run(folder, death, result, name)
    for result in unbroken:
        run(folder, "never", result, name, backup=False)
