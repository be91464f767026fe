"""Networks of a few layers whose names say what they do."""

import keras
import numpy as np
from keras import layers

import tfmp


def plain():
    """Convolutions with normalization of every kind of layer, then a head."""
    x = inputs = keras.Input((8, 8, 3), name="image")
    x = layers.Conv2D(4, 3, padding="same", use_bias=False, name="first")(x)
    x = layers.BatchNormalization(name="first_norm")(x)
    x = layers.ReLU(name="first_relu")(x)
    x = layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2, name="depthwise")(x)
    x = layers.BatchNormalization(name="depthwise_norm")(x)
    x = layers.ReLU(6.0, name="depthwise_relu")(x)
    x = layers.Conv2D(6, 3, strides=2, padding="same", activation="relu", name="middle")(x)
    x = layers.MaxPooling2D(name="pool")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(5, use_bias=False, name="dense")(x)
    x = layers.BatchNormalization(name="dense_norm")(x)
    x = layers.ReLU(name="dense_relu")(x)
    return keras.Model(inputs, layers.Dense(3, name="head")(x), name="plain")


def residual():
    """One block with a skip connection, an average at the end."""
    x = inputs = keras.Input((8, 8, 3), name="image")
    x = layers.Conv2D(4, 3, padding="same", name="first")(x)
    x = skip = layers.ReLU(name="first_relu")(x)
    x = layers.Conv2D(4, 3, padding="same", use_bias=False, name="inside")(x)
    x = layers.BatchNormalization(name="inside_norm")(x)
    x = layers.ReLU(name="inside_relu")(x)
    x = layers.Conv2D(4, 3, padding="same", name="before_addition")(x)
    x = layers.Add(name="addition")([x, skip])
    x = layers.ReLU(name="out_relu")(x)
    x = layers.MaxPooling2D(name="pool")(x)
    x = layers.Conv2D(5, 3, padding="same", activation="relu", name="after_addition")(x)
    x = layers.GlobalAveragePooling2D(name="average")(x)
    return keras.Model(inputs, layers.Dense(3, name="head")(x), name="residual")


def several():
    """Two inputs, branches that are concatenated, two outputs in a dictionary."""
    left, right = keras.Input((8, 8, 2), name="left"), keras.Input((8, 8, 3), name="right")
    x = layers.Conv2D(4, 3, activation="relu", name="left_first")(left)
    y = layers.Conv2D(3, 3, activation="relu", name="right_first")(right)
    y = layers.Conv2D(3, 1, activation="relu", name="right_second")(y)
    x = layers.Concatenate(name="concatenation")([x, y])
    x = layers.Conv2D(4, 3, activation="relu", name="shared")(x)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(6, activation="relu", name="hidden")(x)
    outputs = {"a": layers.Dense(2, name="head_a")(x), "b": layers.Dense(3, activation="softmax", name="head_b")(x)}
    return keras.Model({"left": left, "right": right}, outputs, name="several")


def shared_layer():
    """One convolution in the middle that is called twice."""
    x = inputs = keras.Input((6, 6, 2), name="image")
    x = layers.Conv2D(3, 3, padding="same", activation="relu", name="first")(x)
    twice = layers.Conv2D(3, 3, padding="same", activation="relu", name="twice")
    x = layers.Flatten(name="flatten")(twice(twice(x)))
    return keras.Model(inputs, layers.Dense(2, name="head")(x), name="shared_layer")


def trained(model, seed=0):
    """The model with weights as after some training: every normalization has statistics and gammas of both signs."""
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        for variable in layer.weights:
            if variable.name == "gamma":
                value = rng.uniform(0.5, 1.5, size=variable.shape) * rng.choice([-1, 1], size=variable.shape)
            elif variable.name == "moving_variance":
                value = rng.uniform(0.5, 2.0, size=variable.shape)
            elif variable.name in ("bias", "beta", "moving_mean"):
                value = rng.normal(scale=0.3, size=variable.shape)
            else:
                fan_in = np.prod(variable.shape[:-1])
                value = rng.normal(scale=(2 / fan_in) ** 0.5, size=variable.shape)
            variable.assign(value)
    return model


def inputs_for(model, count=16, seed=1):
    """Random inputs in the structure of the model's."""
    rng = np.random.default_rng(seed)
    return keras.tree.map_structure(lambda t: rng.normal(size=(count, *t.shape[1:])).astype(np.float32), model.input)


def outputs_of(model, inputs):
    """Outputs as a flat list of arrays."""
    return [np.asarray(output) for output in keras.tree.flatten(model(inputs))]


def quantizers_of(model):
    """Names of the layers that store a tensor."""
    return {layer.name for layer in model.layers if isinstance(layer, tfmp.layers.Quantize)}
