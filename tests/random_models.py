"""Random small models: convolutions, depthwise and dense layers, normalizations, activations, sums, joins, poolings,
layers that are shared, several inputs and outputs."""

from hypothesis import strategies as st

_ACTIVATIONS = (None, "relu", "relu6", "tanh", "sigmoid", "swish")
STEPS = (
    "convolution",
    "depthwise",
    "normalization",
    "activation",
    "add",
    "concatenate",
    "max_pool",
    "average_pool",
    "pad",
    "shared",
)


@st.composite
def recipes(draw):
    """What `build` makes a model of: plain values, so that a failure can be written down."""
    steps = st.tuples(
        st.sampled_from(STEPS),
        st.integers(0, 7),  # which tensor it reads
        st.integers(0, 7),  # which other one
        st.integers(1, 5),  # channels
        st.sampled_from(_ACTIVATIONS),
    )
    return {
        "num_inputs": draw(st.integers(1, 2)),
        "size": draw(st.integers(4, 7)),
        "steps": draw(st.lists(steps, min_size=2, max_size=7)),
        "head": draw(st.sampled_from(("pool", "flatten"))),
        "num_outputs": draw(st.integers(1, 2)),
        "softmax": draw(st.booleans()),
    }


def build(keras, recipe):
    """Returns the functional model of a recipe, in either Keras."""
    layers = keras.layers
    inputs = [keras.Input((recipe["size"], recipe["size"], 2), name=f"input{i}") for i in range(recipe["num_inputs"])]
    # All tensors have the size of the images, so that any two can meet.
    tensors = [layers.Conv2D(3, 3, padding="same", name=f"stem{i}")(x) for i, x in enumerate(inputs)]
    shared = layers.Conv2D(3, 1, name="shared")
    for number, (kind, first, second, channels, activation) in enumerate(recipe["steps"]):
        x, other = (tensors[position % len(tensors)] for position in (first, second))
        tensors.append(_step(layers, kind, x, other, shared, channels, activation, f"step{number}"))
    outputs = []
    for number in range(recipe["num_outputs"]):
        x = tensors[-1 - number]
        x = layers.GlobalAveragePooling2D()(x) if recipe["head"] == "pool" else layers.Flatten()(x)
        x = layers.Dense(4, activation="relu", name=f"hidden{number}")(x)
        activation = "softmax" if recipe["softmax"] else None
        outputs.append(layers.Dense(3, activation=activation, name=f"head{number}")(x))
    return keras.Model(inputs if len(inputs) > 1 else inputs[0], outputs if len(outputs) > 1 else outputs[0])


def _step(layers, kind, x, other, shared, channels, activation, name):
    if kind == "convolution":
        return layers.Conv2D(channels, 3, padding="same", activation=activation, name=name)(x)
    if kind == "depthwise":
        return layers.DepthwiseConv2D(3, padding="same", use_bias=False, activation=activation, name=name)(x)
    if kind == "normalization":
        return layers.BatchNormalization(name=name)(x)
    if kind == "activation":
        return layers.Activation(activation or "relu", name=name)(x)
    if kind == "concatenate":
        return layers.Concatenate(name=name)([x, other])
    if kind == "max_pool":
        return layers.MaxPooling2D(3, strides=1, padding="same", name=name)(x)
    if kind == "average_pool":
        return layers.AveragePooling2D(3, strides=1, padding="same", name=name)(x)
    if kind == "pad":
        return layers.Cropping2D(1, name=f"{name}_crop")(layers.ZeroPadding2D(1, name=name)(x))
    if kind == "shared":
        return shared(layers.Conv2D(3, 1, name=f"{name}_before")(x))
    if x.shape[-1] != other.shape[-1]:
        other = layers.Conv2D(x.shape[-1], 1, name=f"{name}_fit")(other)
    return layers.Add(name=name)([x, other])
