# %% [markdown]
# # The first file in ten minutes
#
# From a trained Keras model to a TFLite file with 2 to 4 bits per layer, whose accuracy is measured on the file itself.
# The data are the 1,797 handwritten digits of scikit-learn: `pip install 'tfmp[demo]'`.

# %%
import keras

import tfmp
from tfmp.demo import load_digits

(x_train, y_train), (x_test, y_test) = load_digits()
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
keras.utils.set_random_seed(0)

# %% [markdown]
# ## A model
#
# Any built Sequential or functional model will do. This one has five layers with a kernel.

# %%
layers = keras.layers
model = keras.Sequential(
    [
        keras.Input((8, 8, 1)),
        layers.Conv2D(16, 3, padding="same", activation="relu", name="conv1"),
        layers.Conv2D(16, 3, padding="same", activation="relu", name="conv2"),
        layers.MaxPooling2D(),
        layers.Conv2D(32, 3, padding="same", activation="relu", name="conv3"),
        layers.Flatten(),
        layers.Dense(32, activation="relu", name="hidden"),
        layers.Dense(10, name="logits"),
    ]
)
model.compile(keras.optimizers.Adam(2e-3), loss, metrics=["accuracy"])
model.fit(x_train, y_train, batch_size=32, epochs=15, verbose=0)

# %% [markdown]
# `inspect` says what is searched and which files are possible.

# %%
print(tfmp.inspect(model))

# %% [markdown]
# ## Search
#
# `relax` returns a model that can be trained like the first one and learns the bits of every layer along with its
# weights. The budget is the cost of 3 bits everywhere, counted in bit operations.

# %%
search_model = tfmp.relax(model, weight_bits=(2, 3, 4), activation_bits=(2, 3, 4), calibration=x_train[:256])
search_model.compile(tfmp.SelectionOptimizer(keras.optimizers.Adam(1e-3)), loss, metrics=["accuracy"])
budget = tfmp.Budget("bitops", like_uniform=(3, 3))
search = tfmp.MixedPrecisionSearch(budget)
search_model.fit(x_train, y_train, batch_size=32, epochs=10, callbacks=[search], verbose=0)

assignment = tfmp.discretize(search_model, strategy="budget", budget=budget)
print(assignment)

# %% [markdown]
# ## Train at these bits
#
# `fix` returns an ordinary Keras model with one precision per layer.

# %%
fixed = tfmp.fix(search_model, assignment, calibration=x_train)
fixed.compile(keras.optimizers.Adam(1e-3), loss, metrics=["accuracy"])
fixed.fit(x_train, y_train, batch_size=32, epochs=10, verbose=0)

# %% [markdown]
# ## The file
#
# Mode `"small"` packs the weights to 4 and 2 bits. Before the file is written, it is run and compared with the models.

# %%
print(tfmp.export_tflite(fixed, "digits.tflite", mode="small", verify=x_test, reference=model, overwrite=True))

# %%
print(f"float model {model.evaluate(x_test, y_test, verbose=0)[1]:.2%}")
print(f"file        {tfmp.evaluate_tflite('digits.tflite', (x_test, y_test)):.2%}")

# %% [markdown]
# Next: [which mode for which device](../index.md#which-mode-for-which-device), or [a MobileNet under a byte
# budget](mobilenet_bytes.md).
