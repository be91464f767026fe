# %% [markdown]
# # A microcontroller
#
# A network within two limits, flash for the file and RAM for the arena, run in the interpreter of TensorFlow Lite for
# Microcontrollers, with C++ sources for a program. The interpreter is compiled for this computer; no board is needed.
# `pip install 'tfmp[demo,micro]'`

# %%
import keras

import tfmp
from tfmp.cli import main
from tfmp.demo import load_digits

(x_train, y_train), (x_test, y_test) = load_digits()
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
keras.utils.set_random_seed(0)

# %%
model = tfmp.networks.get("digits_cnn")(keras)
model.compile(keras.optimizers.Adam(3e-3), loss, metrics=["accuracy"])
model.fit(x_train, y_train, batch_size=32, epochs=10, verbose=0)


def accuracy_of(network):
    """Returns the share of test images that a network classifies correctly."""
    return (network.predict(x_test, verbose=0).argmax(-1) == y_test).mean()


print(f"float model {accuracy_of(model):.2%}")

# %% [markdown]
# ## Flash and RAM
#
# `micro_bytes` is the size of the file and `micro_arena_bytes` the memory of its tensors. Both are known before any
# file is written, for each choice of bits.

# %%
candidates = {"weight_bits": (2, 3, 4, 8), "activation_bits": (8,)}
search_model = tfmp.relax(model, calibration=x_train[:256], **candidates)
for bits in (8, 4, 2):
    uniform = tfmp.fix(search_model, {layer: (bits, 8) for layer in tfmp.searched_layers(search_model)})
    flash, arena = (tfmp.cost(uniform, cost) for cost in ("micro_bytes", "micro_arena_bytes"))
    print(f"W{bits}: {flash:,.0f} bytes of flash, {arena:,.0f} bytes of RAM")

# %% [markdown]
# Few bits need less flash and more RAM: the interpreter unpacks a kernel into the arena while its layer runs.
#
# ## Bits within both limits
#
# The plan of the arena can be off by some bytes, so leave a margin to the memory that you have.

# %%
budgets = [tfmp.Budget("micro_bytes", limit=15_000), tfmp.Budget("micro_arena_bytes", limit=12_000)]
sensitivity = tfmp.measure_sensitivity(search_model, x_train[:128])
assignment = tfmp.assign.by_name("ilp", search_model, budgets, sensitivity=sensitivity)
print(assignment)
fixed = tfmp.fix(search_model, assignment, calibration=x_train[:512], post_training="moments")

# %% [markdown]
# ## The file, run before it is written
#
# Every code of every operator must equal that of the folded model, which has the arithmetic of the microcontroller.

# %%
report = tfmp.export_tflite(
    fixed, "digits_micro.tflite", target="micro", verify=x_test[:64], reference=model, overwrite=True
)
print(report)
print(f"used: {report.size_bytes:,} bytes of flash, {report.file.arena_bytes:,} bytes of RAM")
print(f"accuracy of the folded model: {accuracy_of(tfmp.fold(fixed, target='micro')):.2%}")

# %% [markdown]
# ## In a program
#
# The command `tfmp export fixed.keras digits_micro.tflite --target micro --c_array` writes the same file as C++
# sources. See [the program around them](../microcontrollers.md#from-file-to-program).

# %%
fixed.save("digits_fixed.keras")
main(["export", "digits_fixed.keras", "digits_micro.tflite", "--target", "micro", "--c_array", "--overwrite"])
