# %% [markdown]
# # Your own training loop
#
# A search without `fit`: four calls in a loop that you write, here with gradient clipping. `pip install 'tfmp[demo]'`

# %%
import keras
import tensorflow as tf

import tfmp
from tfmp.demo import load_digits

(x_train, y_train), (x_test, y_test) = load_digits()
loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
keras.utils.set_random_seed(0)

model = tfmp.networks.get("digits_cnn")(keras, width=0.5)
model.compile(keras.optimizers.Adam(3e-3), loss_of, metrics=["accuracy"])
model.fit(x_train, y_train, batch_size=32, epochs=10, verbose=0)
print(f"float model {model.evaluate(x_test, y_test, verbose=0)[1]:.2%}")

# %% [markdown]
# ## The search, as an object
#
# `set_model` writes the price of the bits into the layers. `schedule` derives all rates from the number of steps.

# %%
epochs, batch_size = 8, 32
batches = tf.data.Dataset.from_tensor_slices((x_train, y_train)).shuffle(len(x_train), seed=0).batch(batch_size)
search_model = tfmp.relax(model, weight_bits=(2, 3, 4), activation_bits=(2, 3, 4), calibration=x_train[:256])
search = tfmp.MixedPrecisionSearch(tfmp.Budget("bitops", like_uniform=(3, 3)))
optimizer = tfmp.SelectionOptimizer(keras.optimizers.Adam(1e-3))
search.set_model(search_model)
search.schedule(optimizer, steps=epochs * len(batches))

# %% [markdown]
# ## The loop
#
# `search_model.losses` has the price of the bits, so it belongs to the loss. `search.step()` follows every step of the
# optimizer: it compares the expected cost with the budget and writes new prices.


# %%
@tf.function
def train_step(x, y):
    """Runs one step, and returns the loss."""
    with tf.GradientTape() as tape:
        loss = loss_of(y, search_model(x, training=True)) + tf.add_n(search_model.losses)
    gradients, _ = tf.clip_by_global_norm(tape.gradient(loss, search_model.trainable_variables), 5.0)
    optimizer.apply(gradients, search_model.trainable_variables)
    return loss


for epoch in range(epochs):
    search.set_temperature(epoch, epochs)
    losses = []
    for x, y in batches:
        losses.append(float(train_step(x, y)))
        search.step()
    figures = search.summary()
    mean, cost, entropy = sum(losses) / len(losses), figures["expected_cost"], figures["selection_entropy"]
    print(f"loss {mean:.3f}  cost {cost:.3f}  entropy {entropy:.3f}")

# %% [markdown]
# At the end the cost is that of the budget, 1, and every choice is made: the entropy is near 0.
#
# ## The network at its bits
#
# `fixed` is an ordinary Keras model. Train it in any loop.

# %%
assignment = tfmp.discretize(search_model, strategy="budget", budget=search.budget)
print(assignment)
fixed = tfmp.fix(search_model, assignment, calibration=x_train[:512])
fixed.compile(keras.optimizers.Adam(1e-3), loss_of, metrics=["accuracy"])
fixed.fit(x_train, y_train, batch_size=batch_size, epochs=5, verbose=0)
tfmp.export_tflite(fixed, "digits_loop.tflite", mode="small", verify=x_test[:64], reference=model, overwrite=True)
print(f"file        {tfmp.evaluate_tflite('digits_loop.tflite', (x_test, y_test)):.2%}")

# %% [markdown]
# More: [alternating data, resuming, mixed precision in floating point](../custom_training_loop.md).
