"""Saved fixed models and their exported files, which later versions must load and reproduce.

    python -m tests.golden_files

rewrites `tests/golden/files/`. Do so only where files are meant to change, and say which in the changelog.
"""

import pathlib
import sys
import zipfile

import keras
import numpy as np
import tensorflow_model_optimization as tfmot
import tf_keras

import tfmp
import tfmp.tfmot
from tests.transform import fold_models
from tfmp.bindings.framework import framework_name

FOLDER = pathlib.Path(__file__).parent / "golden" / "files"
MODES = ("fast", "small", "float")
VERSION = b'"tfmp":"0.1.0"'  # of the library that wrote the files
_PAIRS = [(3, 2), (1, 4), (4, 3), (2, 8), (8, 2), (5, 6)]


def activations():
    """Every activation that has an integer form."""
    layers = keras.layers
    x = image = keras.Input((6, 6, 3), name="image")
    names = ("sigmoid", "tanh", "elu", "gelu", "swish", "hard_sigmoid", "hard_swish", "leaky_relu")
    for number, name in enumerate(names):
        x = layers.Conv2D(6, 1, activation=name, name=f"conv{number}")(x)
    x = layers.PReLU(shared_axes=[1, 2], name="prelu")(layers.Conv2D(6, 1, name="before")(x))
    x = layers.Multiply(name="gated")([x, layers.Conv2D(6, 1, activation="sigmoid", name="gate")(x)])
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(image, layers.Dense(4, activation="softmax", name="head")(x), name="activations")


def movements():
    """What moves values, and upsampling, transposed and separable convolutions."""
    layers = keras.layers
    x = image = keras.Input((8, 8, 3), name="image")
    x = layers.Rescaling(2.0, offset=-1.0, name="rescaling")(image)
    x = layers.SeparableConv2D(6, 3, activation="relu", name="separable")(x)
    x = layers.Cropping2D(((1, 0), (0, 1)), name="crop")(x)
    x = layers.Permute((2, 1, 3), name="permute")(x)
    x = layers.UpSampling2D((2, 1), name="nearest")(x)
    x = layers.Conv2D(4, 1, activation="relu", name="middle")(x)
    x = layers.UpSampling2D(2, interpolation="bilinear", name="bilinear")(x)
    x = layers.Conv2DTranspose(4, 3, strides=2, name="transposed")(x)
    x = layers.Subtract(name="difference")([x, layers.Conv2D(4, 1, name="part")(x)])
    x = layers.MaxPooling2D(4, name="max")(x * 0.5 + 0.25)
    x = layers.Dense(5, name="hidden")(layers.Flatten(name="flat")(x))
    x = layers.Flatten(name="rows")(layers.RepeatVector(3, name="repeat")(x))
    return keras.Model(image, layers.Dense(4, name="head")(x), name="movements")


def nested():
    """A model that is called twice inside another."""
    layers = keras.layers
    part = keras.Input((6, 6, 2), name="part")
    x = layers.BatchNormalization(name="bn")(layers.Conv2D(4, 3, padding="same", name="conv")(part))
    backbone = keras.Model(part, layers.ReLU(name="relu")(x), name="backbone")
    left, right = keras.Input((6, 6, 2), name="left"), keras.Input((6, 6, 2), name="right")
    x = layers.Add(name="sum")([backbone(left), backbone(right)])
    x = layers.Dense(6, activation="relu", name="hidden")(layers.Flatten(name="flat")(x))
    return keras.Model({"one": left, "two": right}, layers.Dense(3, name="head")(x), name="nested")


def inverted_residual():
    """A block of MobileNetV2, in tf_keras."""
    layers = tf_keras.layers
    x = image = tf_keras.Input((8, 8, 3), name="image")
    x = stem = layers.Conv2D(6, 3, padding="same", name="stem")(x)
    x = layers.ReLU(6.0, name="expanded")(layers.BatchNormalization(name="bn1")(layers.Conv2D(12, 1, name="expand")(x)))
    x = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name="depthwise")(x)
    x = layers.ReLU(6.0, name="filtered")(layers.BatchNormalization(name="bn2")(x))
    x = layers.BatchNormalization(name="bn3")(layers.Conv2D(6, 1, name="project")(x))
    x = layers.GlobalAveragePooling2D(name="pool")(layers.Add(name="add")([stem, x]))
    return tf_keras.Model(image, layers.Dense(4, activation="softmax", name="head")(x), name="inverted_residual")


def annotated():
    """A network for TFMOT."""
    layers = tf_keras.layers
    x = image = tf_keras.Input((8, 8, 3), name="image")
    x = layers.BatchNormalization(name="bn1")(layers.Conv2D(6, 3, padding="same", name="conv1")(x))
    x = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(layers.ReLU(name="r1")(x))
    x = layers.ReLU(name="r2")(layers.BatchNormalization(name="bn2")(x))
    x = layers.GlobalAveragePooling2D(name="pool")(layers.Conv2D(8, 1, activation="relu", name="conv2")(x))
    return tf_keras.Model(image, layers.Dense(4, name="head")(x), name="annotated")


def tfmot_models():
    """Yields models with wrappers of TFMOT by name: one with chosen bits, one that only TFMOT quantized."""
    quantization, generator = tfmot.quantization.keras, np.random.default_rng(0)
    x, y = generator.normal(size=(64, 8, 8, 3)).astype(np.float32), generator.integers(0, 4, 64)
    loss = tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    with quantization.quantize_scope():
        scheme = tfmp.tfmot.MixedPrecisionQuantizeScheme(weight_bits=(2, 3, 4), activation_bits=(2, 4))
        mixed = quantization.quantize_apply(quantization.quantize_annotate_model(annotated()), scheme=scheme)
        mixed.compile("sgd", loss)
        mixed.fit(x, y, epochs=2, verbose=0)
        pairs = zip(tfmp.discretize(mixed), [(3, 2), (2, 4), (4, 4)], strict=False)
        fixed = tfmp.fix(mixed, dict(pairs))
        eight_bits = quantization.quantize_model(annotated())
    for name, model, epochs in (("annotated", fixed, 2), ("eight_bits", eight_bits, 40)):
        model.compile("sgd", loss)
        model.fit(x, y, epochs=epochs, verbose=0)
        yield name, model


def floats():
    """Pairs of a model in floating point and arguments of `tfmp.relax`."""
    for build in (*fold_models.MODELS.values(), activations, movements, nested):
        yield build(), {}
    for quantizer in ("hwgq", "dual_precision", ("linear", "moving_range")):
        model = fold_models.residual()
        name = quantizer if isinstance(quantizer, str) else quantizer[0]
        yield keras.Model(model.inputs, model.outputs, name=name), {"quantizer": quantizer, "weight_bits": (2, 4)}
    yield inverted_residual(), {}
    yield tfmp.networks.get("resnet8")(tf_keras, image_size=12, width=0.25), {}


def fixed_models():
    """Yields fixed models with weights and ranges as after training."""
    for model, arguments in floats():
        fold_models.randomized(model)
        data = fold_models.samples(model)
        pairs = [(min(max(w, 2), 4), min(a, 4)) for w, a in _PAIRS] if "quantizer" in arguments else _PAIRS
        yield fold_models.fixed_model(model, pairs, data, **arguments)


def exported(fixed, mode, path) -> bytes:
    """The file of a fixed model, with the version of the golden ones in its metadata."""
    tfmp.export_tflite(fixed, path, mode=mode, overwrite=True)
    return pathlib.Path(path).read_bytes().replace(f'"tfmp":"{tfmp.__version__}"'.encode(), VERSION)


def path_of(name) -> pathlib.Path:
    """The saved model of a name: TFMOT's wrappers load from HDF5 alone."""
    return FOLDER / f"{name}.{'h5' if name.startswith('tfmot') else 'keras'}"


def _export(model, path):
    for mode in MODES:
        target = path.with_suffix(f".{mode}.tflite")
        target.write_bytes(exported(model, mode, target))
    print(path.name, path.stat().st_size)


def _compress(path):
    """Keras stores its archives as they are; HDF5 files of small models are nearly empty."""
    with zipfile.ZipFile(path) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    for fixed in fixed_models():
        path = FOLDER / f"{framework_name(fixed)}_{fixed.name}.keras"
        fixed.save(path)
        _compress(path)
        _export(fixed, path)
    for name, model in tfmot_models():
        path = FOLDER / f"tfmot_{name}.h5"
        model.save(path, include_optimizer=False)
        _export(model, path)


if __name__ == "__main__":
    np.random.seed(0)
    keras.utils.set_random_seed(0)
    sys.exit(main())
