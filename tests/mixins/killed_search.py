"""Small searches that may be killed: `python killed_search.py FOLDER DEATH RESULT SEARCH ...`.

SEARCH is a relaxation, or `alternating`: logits that learn on data of their own, until they are decided. Every search
keeps its backup in `FOLDER/SEARCH`. DEATH is `never`, `after_epoch` (the first) or `while_saving` (the
second epoch). Those that live leave weights and assignment in `FOLDER/SEARCH-RESULT.npz` and `.json`.
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


class Data(keras.utils.PyDataset):
    """Batches whose order depends on the seed and the epoch alone."""

    epoch = 0

    def __len__(self):
        return 4

    def __getitem__(self, index):
        rng = np.random.default_rng((7, self.epoch, index))
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

    def on_epoch_end(self, epoch, logs=None):
        if self.death == "while_saving" and epoch == 1:
            os.replace = lambda source, target: os.kill(os.getpid(), signal.SIGKILL)


def run(folder, death, result, name):
    keras.utils.set_random_seed(3)
    x = inputs = keras.Input((6, 6, 2))
    x = kl.ReLU()(kl.BatchNormalization()(kl.Conv2D(3, 3, name="one")(x)))
    x = kl.Dropout(0.2)(kl.ReLU()(kl.BatchNormalization()(kl.Conv2D(3, 3, name="two")(x))))
    x = kl.Dense(4, activation="relu", name="three")(kl.Flatten()(x))
    model = keras.Model(inputs, kl.Dense(1, name="four")(x))
    relaxation, options = name, {}
    if name == "alternating":
        x = np.random.default_rng(5).normal(size=(20, 6, 6, 2)).astype(np.float32)
        data = tfmp.SelectionData((x, x.mean((1, 2)) @ [[2.0], [1.0]]), batch_size=8, every=3, seed=4)
        relaxation, options = "softmax", {"selection_data": data, "freeze_above": 0.52}
    search_model = tfmp.relax(model, weight_bits=(1, 2, 4), activation_bits=(2, 4), relaxation=relaxation)
    search_model.compile(
        tfmp.SelectionOptimizer(keras.optimizers.SGD(0.05, momentum=0.9), keras.optimizers.Adam(0.05)), "mse"
    )
    budget = tfmp.Budget("bitops", like_uniform=(2, 2))
    search, data = tfmp.MixedPrecisionSearch(budget, backup_dir=os.path.join(folder, name), **options), Data()
    callbacks = [Conditions(data, death), search]
    history = search_model.fit(data, epochs=3, shuffle=False, callbacks=callbacks, verbose=0)
    assignment = tfmp.discretize(search_model, strategy="budget", budget=budget)
    variables = [*search_model.variables, *search_model.optimizer.variables]
    path = os.path.join(folder, f"{name}-{result}")
    np.savez(f"{path}.npz", *[np.asarray(v) for v in variables])
    summary = {
        "bits": assignment.bits,
        "epochs": history.epoch,
        "costs": history.history["expected_cost"],
        "multiplier": search.multiplier.state(),
        "decided": history.history.get("decided"),
    }
    with open(f"{path}.json", "w", encoding="utf-8") as file:
        json.dump(summary, file)


if __name__ == "__main__":
    tf.config.experimental.enable_op_determinism()
    folder, death, result, *names = sys.argv[1:]
    for name in names:
        run(folder, death, result, name)
