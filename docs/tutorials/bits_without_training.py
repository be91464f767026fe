# %% [markdown]
# # Without training
#
# Bits for a trained network in a minute, from some hundred images without labels. What follows measures how sensitive
# each layer is, chooses the bits for a size, and rounds the weights well. `pip install 'tfmp[demo]'`

# %%
import keras

import tfmp
from tfmp.demo import load_digits

(x_train, y_train), (x_test, y_test) = load_digits()
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
keras.utils.set_random_seed(0)

model = tfmp.networks.get("digits_cnn")(keras)
model.compile(keras.optimizers.Adam(3e-3), loss, metrics=["accuracy"])
model.fit(x_train, y_train, batch_size=32, epochs=10, verbose=0)


def accuracy_of(network):
    """Returns the share of test images that a network classifies correctly."""
    return (network.predict(x_test, verbose=0).argmax(-1) == y_test).mean()


print(f"float model {accuracy_of(model):.2%}")

# %% [markdown]
# ## 8 bits
#
# One call. At 8 bits there is nothing to choose, and little to lose.

# %%
images = x_train[:256]
print(f"8 bits      {accuracy_of(tfmp.quantize(model, 8, calibration=images)):.2%}")

# %% [markdown]
# ## How sensitive is each layer?
#
# Every candidate of every kernel is tried alone, with all others at 8 bits. The number is the KL divergence of the
# outputs from those in floating point: near zero is harmless.

# %%
search_model = tfmp.relax(model, weight_bits=(2, 3, 4, 8), activation_bits=(8,), calibration=images)
sensitivity = tfmp.measure_sensitivity(search_model, images, divergence="kl")
for layer, tensors in sensitivity.scores.items():
    print(f"{layer:12}", "  ".join(f"W{bits} {harm:.4f}" for bits, harm in tensors["weights"].items()))

# %% [markdown]
# ## Will mixed bits pay?
#
# The forecast compares the best bits with uniform ones of the same size, before anything is quantized.

# %%
budgets = [tfmp.Budget("model_size", like_uniform=(bits, 8)) for bits in (4, 3, 2)]
print(sensitivity.forecast(budgets))

# %% [markdown]
# ## Bits for a size
#
# One measurement serves any budget. Here it is the size of 3-bit kernels. Each level of `post_training` costs more time
# and loses less: the ranges alone; also the means and variances of the layers; also whether each weight is rounded up
# or down.

# %%
budget = tfmp.Budget("model_size", like_uniform=(3, 8))
rounding = tfmp.Reconstruction(iterations=300)
for method in ("uniform", "ilp"):
    assignment = tfmp.assign.by_name(method, search_model, budget, sensitivity=sensitivity)
    for name, level in {"ranges": "ranges", "moments": "moments", "reconstruction": rounding}.items():
        fixed = tfmp.fix(search_model, assignment, calibration=images, post_training=level)
        print(f"{method:8} {name:15} {accuracy_of(fixed):.2%}")
print(assignment)

# %% [markdown]
# On a network this small the differences are within the noise of 360 images. [On CIFAR-10](../results.md) they are not.
#
# ## The file
#
# The last network is that of `ilp` with learned rounding.

# %%
path = "digits_untrained.tflite"
report = tfmp.export_tflite(fixed, path, mode="small", verify=images[:64], reference=model, overwrite=True)
print(f"file        {tfmp.evaluate_tflite(path, (x_test, y_test)):.2%}")
print(report)

# %% [markdown]
# More: [what each level does, baselines, when it fails](../without_training.md). If too much is lost, train at these
# bits, as in [a MobileNet under a byte budget](mobilenet_bytes.md).
