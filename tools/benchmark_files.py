r"""Compares files in mode "fast" with those of TensorFlow's int8 converter: bytes, and processor time in LiteRT.

    python tools/benchmark_files.py
    python tools/benchmark_files.py resnet8 MobileNetV2 --rounds=30

Each float network, of random weights, becomes three files of W8A8: `tensorflow` by the converter's quantization after
training; `fast` by `tfmp.quantize`, which takes the same data; `fixed` by `tfmp.relax` and `tfmp.fix`, as after a
search. One process runs them in turn, on one thread, so that what else the machine does falls on all of them alike.
Networks of keras.applications have 100 classes and images of 64 x 64, or the smallest that they take. `mixer` (layer
normalization), `vision_transformer` (attention) and `recurrent` (GRU) have layers that run in floating point; in these,
TensorFlow's converter may keep operators in floating point, too.

Every network leaves one JSON in `--folder`; networks whose JSON exists are skipped. `python -m recipes.results_table`
shows them.
"""

import collections
import functools
import json
import os
import pathlib
import platform
import statistics
import tempfile
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from absl import app, flags
from ai_edge_litert import schema_py_generated as schema

import tfmp
from tfmp import networks
from tfmp.files.atomic_file import write_atomically
from tfmp.tflite.measure_runtime import Stopwatch
from tfmp.tflite.writer.packing import unpack

ROOT = pathlib.Path(__file__).resolve().parents[1]
NETWORKS = (
    "resnet8",
    "ds_cnn",
    "mobilenet_v1_vww",
    "dense_autoencoder",
    "VGG16",
    "ResNet50",
    "ResNet50V2",
    "InceptionV3",
    "MobileNet",
    "MobileNetV2",
    "MobileNetV3Small",
    "EfficientNetB0",
    "EfficientNetV2B0",
    "mixer",
    "vision_transformer",
    "recurrent",
)
_FOLDER = flags.DEFINE_string("folder", str(ROOT / "recipes" / "results" / "benchmark_files"), "Folder of the JSON.")
_ROUNDS = flags.DEFINE_integer("rounds", 15, "How often each file's turn comes.", lower_bound=2)
_IMAGE_SIZE = flags.DEFINE_integer("image_size", 64, "For a network of keras.applications: height and width.")

_SMALLEST = {"InceptionV3": 75}
_NUM_CLASSES, _NUM_SAMPLES = 100, 16
_OPERATORS = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}


def mixer():
    """An MLP-Mixer of four blocks, which mix patches and channels in turn after a layer normalization."""
    kl = keras.layers
    image = keras.Input((32, 32, 3), name="image")
    x = kl.Reshape((64, 64))(kl.Conv2D(64, 4, strides=4)(image))
    for _ in range(4):
        y = kl.Permute((2, 1))(kl.LayerNormalization()(x))
        y = kl.Dense(64)(kl.Dense(128, activation="relu")(y))
        x = kl.Add()([x, kl.Permute((2, 1))(y)])
        y = kl.Dense(128, activation="relu")(kl.LayerNormalization()(x))
        x = kl.Add()([x, kl.Dense(64)(y)])
    x = kl.GlobalAveragePooling1D()(kl.LayerNormalization()(x))
    return keras.Model(image, kl.Dense(_NUM_CLASSES)(x), name="mixer")


def vision_transformer():
    """A vision transformer of four blocks with four heads, on 64 patches."""
    kl = keras.layers
    image = keras.Input((32, 32, 3), name="image")
    x = kl.Reshape((64, 64))(kl.Conv2D(64, 4, strides=4)(image))
    for _ in range(4):
        y = kl.LayerNormalization()(x)
        x = kl.Add()([x, kl.MultiHeadAttention(4, 16)(y, y)])
        y = kl.Dense(128, activation="relu")(kl.LayerNormalization()(x))
        x = kl.Add()([x, kl.Dense(64)(y)])
    x = kl.GlobalAveragePooling1D()(kl.LayerNormalization()(x))
    return keras.Model(image, kl.Dense(_NUM_CLASSES)(x), name="vision_transformer")


def recurrent():
    """A GRU of 128 units over the eight rows of a small image, after a convolution."""
    kl = keras.layers
    image = keras.Input((8, 32, 1), name="image")
    x = kl.Reshape((8, 512))(kl.Conv2D(16, 3, padding="same", activation="relu")(image))
    x = kl.Dense(64, activation="relu")(kl.GRU(128)(x))
    return keras.Model(image, kl.Dense(_NUM_CLASSES)(x), name="recurrent")


WITH_FLOAT_LAYERS = {"mixer": mixer, "vision_transformer": vision_transformer, "recurrent": recurrent}


def build(name):
    """The float network of a name in `WITH_FLOAT_LAYERS`, `tfmp.networks` or keras.applications.

    Biases and normalizations are random, too: a file stores equal ones once.
    """
    if name in WITH_FLOAT_LAYERS:
        model = WITH_FLOAT_LAYERS[name]()
    elif name in networks.names():
        model = networks.get(name)(keras)
    else:
        size = max(_IMAGE_SIZE.value, _SMALLEST.get(name, 0))
        model = getattr(keras.applications, name)(weights=None, input_shape=(size, size, 3), classes=_NUM_CLASSES)
    rng = np.random.default_rng(0)
    for variable in model.trainable_variables:
        if len(variable.shape) == 1:
            variable.assign(rng.normal(variable.path.endswith("gamma"), 0.1, variable.shape))
    return model


def converted(model, samples):
    """The bytes of TensorFlow's int8 file."""
    shape = (1, *model.input_shape[1:])
    function = tf.function(functools.partial(model, training=False)).get_concrete_function(tf.TensorSpec(shape))
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function])
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([sample[None]] for sample in samples)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    if model.name in WITH_FLOAT_LAYERS:
        converter.target_spec.supported_ops.append(tf.lite.OpsSet.TFLITE_BUILTINS)
    return converter.convert()


def exported(fixed):
    """The bytes of the fast file of a fixed model."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "model.tflite"
        tfmp.export_tflite(fixed, path)
        return path.read_bytes()


def files(model, samples):
    """The bytes of the three files by name."""
    quantized = tfmp.quantize(model, 8, calibration=samples, post_training="ranges")
    relaxed = tfmp.relax(model, weight_bits=(8,), activation_bits=(8,), calibration=samples)
    fixed = tfmp.fix(relaxed, dict.fromkeys(tfmp.searched_layers(relaxed), (8, 8)))
    return {"tensorflow": converted(model, samples), "fast": exported(quantized), "fixed": exported(fixed)}


def described(content):
    """Bytes of a file, of its constants' contents, and how many operators of each kind it has."""
    model = unpack(content)
    kinds = [_OPERATORS[model.operatorCodes[each.opcodeIndex].builtinCode] for each in model.subgraphs[0].operators]
    contents = sum(0 if each.data is None else len(each.data) for each in model.buffers)
    return {"bytes": len(content), "content_bytes": contents, "operators": dict(collections.Counter(kinds))}


def measured(name):
    """The record of a network."""
    keras.utils.set_random_seed(0)
    model = build(name)
    samples = np.random.default_rng(0).normal(size=(_NUM_SAMPLES, *model.input_shape[1:])).astype(np.float32)
    contents = files(model, samples)
    load = [os.getloadavg()[0]]
    seconds = Stopwatch(runs=_ROUNDS.value, clock=time.process_time).seconds(contents)
    load.append(os.getloadavg()[0])
    found = {key: described(content) for key, content in contents.items()}
    for key, times in seconds.items():
        found[key] |= {"least_us": 1e6 * min(times), "median_us": 1e6 * statistics.median(times)}
    return {
        "input_shape": model.input_shape[1:],
        "parameters": model.count_params(),
        "files": found,
        "rounds": _ROUNDS.value,
        "load_average": load,
        "machine": platform.machine(),
        "versions": {"keras": keras.__version__, "tensorflow": tf.__version__, "tfmp": tfmp.__version__},
    }


def main(argv):
    """Measures the networks that are named, or all."""
    folder = pathlib.Path(_FOLDER.value)
    folder.mkdir(parents=True, exist_ok=True)
    for name in argv[1:] or NETWORKS:
        path = folder / f"{name}.json"
        if path.exists():
            continue
        record = measured(name)
        write_atomically(path, json.dumps(record, indent=2) + "\n")
        found = record["files"]
        for key in ("fast", "fixed"):
            size, least = (found[key][part] / found["tensorflow"][part] for part in ("bytes", "least_us"))
            print(f"{name} {key}: {size:.3f} of the bytes of TensorFlow's file, {least:.3f} of its time", flush=True)


if __name__ == "__main__":
    app.run(main)
