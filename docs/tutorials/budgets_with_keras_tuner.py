# %% [markdown]
# # Several budgets with keras-tuner
#
# Which budget is worth its accuracy? A tuner trains a network within each budget, in several ways, and shows the front:
# the networks that no other beats in both cost and accuracy. `pip install 'tfmp[demo,tuner]'`

# %%
import shutil

import keras

import tfmp
from tfmp.demo import load_digits

train, test = load_digits()
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
keras.utils.set_random_seed(0)

layers = keras.layers
model = keras.Sequential(
    [
        keras.Input((8, 8, 1)),
        layers.Flatten(),
        layers.Dense(64, activation="relu", name="first"),
        layers.Dense(64, activation="relu", name="second"),
        layers.Dense(32, activation="relu", name="third"),
        layers.Dense(16, activation="relu", name="fourth"),
        layers.Dense(10, name="logits"),
    ]
)
model.compile(keras.optimizers.Adam(2e-3), loss, metrics=["accuracy"])
model.fit(*train, batch_size=32, epochs=15, verbose=0)

# %% [markdown]
# ## Budgets and strategies
#
# A small network of dense layers, so that a trial takes seconds. The budgets are the bit operations of 2 and of 3 bits
# in the layers between the first and the last. `uniform` trains at these bits, `ilp` at the bits with the least
# measured sensitivity, and `mixed` searches. Each has the same number of epochs in all.

# %%
hypermodel = tfmp.tuner.MixedPrecisionHyperModel(
    model,
    budgets=[tfmp.Budget("bitops", like_uniform=(bits, bits)) for bits in (2, 3)],
    training=tfmp.tuner.Training(loss, search_epochs=2, finetune_epochs=3),
    strategies=["uniform", "ilp", "mixed"],
)
tuner = tfmp.tuner.BudgetTuner(hypermodel, directory="tuning", project_name="digits")
tuner.search(*train, validation_data=test, batch_size=32)

# %% [markdown]
# ## The front
#
# A table, and a page on which every point links to its bits.

# %%
front = tuner.pareto(x="bitops", y="val_accuracy")
print(front)
tuner.report().to_html("front.html", overwrite=True)

# %% [markdown]
# The same trials in TensorBoard: `tensorboard --logdir tuning/tensorboard`, then HPARAMS. `on_front` marks the front.

# %%
shutil.rmtree("tuning/tensorboard", ignore_errors=True)  # of an earlier run
print("on the front:", ", ".join(tuner.to_tensorboard("tuning/tensorboard")))

# %% [markdown]
# ## Stopped and started again
#
# Finished trials are kept, also after a kill. The same program then repeats nothing.

# %%
tuner.search(*train, validation_data=test, batch_size=32)
results = tfmp.tuner.TuningResults("tuning/digits")
print(f"{len(results.records())} trials")

# %% [markdown]
# ## A file of any trial
#
# The most accurate network of the front, trained already:

# %%
best = max(front.front, key=lambda point: point["val_accuracy"])
print(best["strategy"], best["budget"], best["bits"])
report = tfmp.export_tflite(
    tuner.model(best["id"]), "digits_tuned.tflite", mode="small", verify=test[0][:64], reference=model, overwrite=True
)
print(f"file {report.size_bytes:,} bytes, {tfmp.evaluate_tflite('digits_tuned.tflite', test):.2%}")

# %% [markdown]
# More: [several machines, your own strategies, the smallest network that is good enough](../tuning.md).
