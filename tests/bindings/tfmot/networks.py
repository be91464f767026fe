"""Small networks of tf_keras, annotated for TFMOT."""

import numpy as np
import tensorflow_model_optimization as tfmot
import tf_keras
from tf_keras import layers as kl

import tfmp
import tfmp.keras2
import tfmp.tfmot

X = np.random.default_rng(0).normal(size=(32, 8, 8, 3)).astype(np.float32)
Y = np.random.default_rng(1).integers(0, 3, size=32)
BITS = {"weight_bits": (1, 2, 4), "activation_bits": (2, 4)}
quantization = tfmot.quantization.keras


def network():
    """A residual network with layers of most kinds; its outputs are logits, whose codes can be compared."""
    tf_keras.utils.set_random_seed(0)
    x = inputs = tf_keras.Input((8, 8, 3), name="image")
    x = kl.Conv2D(4, 3, padding="same", use_bias=False, name="first")(x)
    x = skip = kl.ReLU(name="first_relu")(kl.BatchNormalization(name="first_norm")(x))
    x = kl.DepthwiseConv2D(3, padding="same", activation="relu", name="depthwise")(x)
    x = kl.Conv2D(4, 1, name="pointwise")(x)
    x = kl.ReLU(name="out_relu")(kl.Add(name="addition")([x, skip]))
    x = kl.Flatten(name="flatten")(kl.MaxPooling2D(4, name="pool")(x))
    x = kl.Dense(5, activation="relu", name="hidden")(x)
    return tf_keras.Model(inputs, kl.Dense(3, name="head")(x), name="network")


def annotated(model, configs=None, *, everything=True):
    """The model with configurations at some layers, and annotations without one at the others."""
    configs = configs or {}

    def annotate(layer):
        if layer.name in configs:
            return quantization.quantize_annotate_layer(layer, configs[layer.name])
        return layer

    found = tf_keras.models.clone_model(model, clone_function=annotate)
    return quantization.quantize_annotate_model(found) if everything else found


def applied(model, configs=None, *, everything=True, **arguments):
    """The model that `quantize_apply` makes of it with our scheme."""
    scheme = tfmp.tfmot.MixedPrecisionQuantizeScheme(**{**BITS, **arguments})
    with quantization.quantize_scope():
        return quantization.quantize_apply(annotated(model, configs, everything=everything), scheme=scheme)


def search(model, epochs=2):
    """Trains a search model, and returns what `fit` logged."""
    optimizer = tfmp.keras2.SelectionOptimizer(
        tf_keras.optimizers.SGD(0.02, momentum=0.9), tf_keras.optimizers.Adam(0.05)
    )
    model.compile(optimizer, tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    callback = tfmp.keras2.MixedPrecisionSearch(tfmp.Budget("bitops", like_uniform=(2, 3)))
    return model.fit(X, Y, batch_size=16, epochs=epochs, shuffle=False, callbacks=[callback], verbose=0).history


def train(model, epochs=1):
    model.compile("sgd", tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(X, Y, batch_size=16, epochs=epochs, shuffle=False, verbose=0)
    return model
