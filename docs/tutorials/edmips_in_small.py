# %% [markdown]
# # Reproduce EdMIPS
#
# [EdMIPS](https://arxiv.org/abs/2004.05795) searches bits by gradient descent: every layer mixes its candidates, and a
# penalty on the expected bit operations makes it choose. This tutorial runs the paper's method on digits, and ends with
# the commands that reproduce its figures on CIFAR-10. `pip install 'tfmp[demo]'`

# %%
import keras

import tfmp
from tfmp.demo import load_digits

(x_train, y_train), (x_test, y_test) = load_digits()
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
keras.utils.set_random_seed(0)

model = tfmp.networks.get("digits_cnn")(keras, width=0.5)
model.compile(keras.optimizers.Adam(3e-3), loss, metrics=["accuracy"])
model.fit(x_train, y_train, batch_size=32, epochs=10, verbose=0)
print(f"float model {model.evaluate(x_test, y_test, verbose=0)[1]:.2%}")

# %% [markdown]
# ## The paper's settings
#
# The quantizer is HWGQ, the relaxation a softmax. Weights have 1 to 4 bits and activations 2 to 4. The penalty has a
# constant weight `eta`, and the bits at the end are the most probable ones. Only the rate of the logits is not the
# paper's: it follows from the number of steps, so that a short search decides as well.


# %%
def searched(eta):
    """Returns the bits that the paper's search finds, and the network that is trained at them."""
    keras.utils.set_random_seed(0)
    search_model = tfmp.relax(
        model, weight_bits=(1, 2, 3, 4), activation_bits=(2, 3, 4), quantizer="hwgq", calibration=x_train[:256]
    )
    search_model.compile(tfmp.SelectionOptimizer(keras.optimizers.Adam(1e-3)), loss, metrics=["accuracy"])
    search = tfmp.MixedPrecisionSearch(eta=eta)
    search_model.fit(x_train, y_train, batch_size=32, epochs=5, callbacks=[search], verbose=0)
    return trained(search_model, tfmp.discretize(search_model, strategy="argmax"))


def trained(search_model, assignment):
    """Returns bits, and a network that is trained at them."""
    fixed = tfmp.fix(search_model, assignment, calibration=x_train[:512])
    fixed.compile(keras.optimizers.Adam(1e-3), loss, metrics=["accuracy"])
    fixed.fit(x_train, y_train, batch_size=32, epochs=5, verbose=0)
    return assignment, fixed


# %% [markdown]
# ## Cost against accuracy
#
# A larger `eta` gives fewer bit operations. Which `eta` gives which cost is not known before: the paper tries several.


# %%
def show(name, fixed):
    """Prints the bit operations and the accuracy of a network."""
    accuracy = fixed.evaluate(x_test, y_test, verbose=0)[1]
    print(f"{name:14} {tfmp.cost(fixed, 'bitops'):12,.0f} bit operations {accuracy:.2%}")


for eta in (0.001, 0.01, 0.1):
    assignment, fixed = searched(eta)
    show(f"eta {eta}", fixed)
    print("  ", ", ".join("{} W{}A{}".format(layer, *assignment[layer]) for layer in assignment))

# %% [markdown]
# Uniform bits, trained alike, are what a search has to beat:

# %%
keras.utils.set_random_seed(0)
search_model = tfmp.relax(
    model, weight_bits=(2, 3, 4), activation_bits=(2, 3, 4), quantizer="hwgq", calibration=x_train[:256]
)
for bits in (2, 3, 4):
    show(f"uniform W{bits}A{bits}", trained(search_model, dict.fromkeys(assignment, (bits, bits)))[1])

# %% [markdown]
# ## What this library does differently
#
# `tfmp.Budget` replaces `eta`: dual ascent raises the penalty until the expected cost meets the budget, and
# `strategy="budget"` meets it exactly. Steps are learned (LSQ) rather than derived from the data. [How the search
# works](../search.md) has the formulas.
#
# ## The figures of the paper
#
# From a clone; CIFAR-10 is downloaded once. Each command takes hours on two cores, skips finished runs and draws its
# figures at the end. [Their results](../edmips.md)
#
# ```
# python -m recipes.resnet8_cifar10 --methods=mixed --set=quantizer=hwgq --set=relaxation=softmax --seeds=0,1,2
# python -m recipes.edmips --config=edmips_ablations
# ```
