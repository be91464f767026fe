# %% [markdown]
# # A MobileNet under a byte budget
#
# Mixed bits gain most where layers differ. In a MobileNet, depthwise layers have few weights and are sensitive, and the
# last pointwise layers have most of the weights and are not. This tutorial chooses the bits for a size of the file in
# bytes. It runs on the digits of scikit-learn: `pip install 'tfmp[demo]'`.

# %%
import keras

import tfmp
from tfmp.demo import load_digits

(x_train, y_train), (x_test, y_test) = load_digits()
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
keras.utils.set_random_seed(0)

# %% [markdown]
# ## A small MobileNet
#
# Each block has a depthwise convolution, which filters every channel by itself, and a pointwise one, which mixes them.
# `tfmp.networks` has the published networks, for example `tfmp.networks.get("mobilenet_v1_cifar")(keras, width=0.25)`.


# %%
def normalized(x):
    """Returns a batch normalization and a ReLU."""
    return keras.layers.ReLU()(keras.layers.BatchNormalization()(x))


inputs = keras.Input((8, 8, 1))
x = normalized(keras.layers.Conv2D(16, 3, padding="same", name="stem")(inputs))
for number, (filters, strides) in enumerate([(32, 1), (64, 2), (64, 1), (128, 2)], start=1):
    depthwise = keras.layers.DepthwiseConv2D(3, strides, "same", name=f"depthwise{number}")
    pointwise = keras.layers.Conv2D(filters, 1, name=f"pointwise{number}")
    x = normalized(pointwise(normalized(depthwise(x))))
outputs = keras.layers.Dense(10, name="logits")(keras.layers.GlobalAveragePooling2D()(x))
model = keras.Model(inputs, outputs, name="mobilenet")
model.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(1e-2, 15 * 45)), loss, metrics=["accuracy"])
model.fit(x_train, y_train, batch_size=32, epochs=15, verbose=0)
print(f"float model {model.evaluate(x_test, y_test, verbose=0)[1]:.2%}")

# %% [markdown]
# ## What can be gained
#
# The harm of every candidate is measured once, without training. The forecast compares mixed with uniform bits at two
# sizes of the file: those of 4 and of 2 bits.

# %%
candidates = {"weight_bits": (2, 3, 4, 6, 8), "activation_bits": (8,)}
search_model = tfmp.relax(model, calibration=x_train[:256], **candidates)
sensitivity = tfmp.measure_sensitivity(search_model, x_train[:128])
budgets = [tfmp.Budget("tflite_bytes", like_uniform=(bits, 8)) for bits in (4, 2)]
print(sensitivity.forecast(budgets))

# %% [markdown]
# The last column says what to use. In a network this small, 8 bits for depthwise layers can be all that is to be
# gained; in deeper ones, [mixed bits gain more](../results.md#without-training).
#
# ## Bits for a number of bytes
#
# The budget is a number here: three quarters of the file in which every layer has 8 bits. `by_name("ilp")` returns the
# bits with the least harm within it. Two baselines are within the same budget: uniform bits, and depthwise layers at 8.

# %%
largest = tfmp.cost(tfmp.quantize(model, 8, calibration=x_train[:64], post_training="ranges"), "tflite_bytes")
budget = tfmp.Budget("tflite_bytes", limit=round(0.75 * largest))
print(f"8 bits: {largest:,.0f} bytes, budget: {budget.limit:,.0f} bytes")

for method in ("uniform", "depthwise_8", "ilp"):
    assignment = tfmp.assign.by_name(method, search_model, budget, sensitivity=sensitivity)
    fixed = tfmp.fix(search_model, assignment, calibration=x_train[:512], post_training="moments")
    path = f"mobilenet_{method}.tflite"
    report = tfmp.export_tflite(fixed, path, mode="small", verify=x_test[:64], overwrite=True)
    print(f"{method:12} {report.size_bytes:7,} bytes {tfmp.evaluate_tflite(path, (x_test, y_test)):.2%}")

# %% [markdown]
# ## A few epochs at these bits
#
# The last network is that of `ilp`. Training it at its bits repairs most of what is lost.

# %%
fixed.compile(keras.optimizers.Adam(1e-3), loss, metrics=["accuracy"])
fixed.fit(x_train, y_train, batch_size=32, epochs=5, verbose=0)
report = tfmp.export_tflite(fixed, "mobilenet.tflite", mode="small", verify=x_test, reference=model, overwrite=True)
print(f"trained      {report.size_bytes:7,} bytes {tfmp.evaluate_tflite('mobilenet.tflite', (x_test, y_test)):.2%}")
print(report)

# %% [markdown]
# To let the bits follow from the training instead, search with `tfmp.MixedPrecisionSearch(budget)` as in [the first
# file](first_file.md). More: [without training](../without_training.md), [export](../export.md).
