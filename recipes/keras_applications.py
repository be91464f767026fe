"""From networks of keras.applications to TFLite files, compared operator by operator.

    python -m recipes.keras_applications                          # the first network of each file of the collection
    python -m recipes.keras_applications --networks=DenseNet169   # any other
    python -m recipes.keras_applications --networks=all           # every network of the installed Keras

Each network, of random weights (biases and normalization, too: constants that are all zero would be stored once, which
no trained network has) and at a small input, is relaxed, trained for two steps under a budget, discretized,
fixed and exported in every mode; every operator of each file in integers is compared with the folded model, given the
file's own input codes, and the outputs of the file in floating point with the fixed model. What goes wrong is recorded,
not hidden. Every network leaves one JSON in `recipes/results/keras_applications/`; networks whose JSON exists are
skipped.
"""

import inspect
import json
import os
import pathlib
import tempfile
import time

import keras
import numpy as np
import tensorflow as tf
from absl import app, flags

import tfmp
from tfmp.files.atomic_file import write_atomically

FLAGS = flags.FLAGS
RESULTS = pathlib.Path(__file__).parent / "results" / "keras_applications"
MODES = ("fast", "small")

_SMALLEST = {"InceptionV3": 75, "InceptionResNetV2": 75, "Xception": 71}
_WEIGHT_BITS, _ACTIVATION_BITS, _UNIFORM = (2, 4, 8), (4, 8), (4, 4)


def all_networks():
    """Returns the functions of keras.applications that build a network, by name, file by file as they are defined."""
    functions = vars(keras.applications).items()
    found = {name: each for name, each in functions if inspect.isfunction(each) and not name.startswith("_")}
    places = {name: (inspect.getfile(each), inspect.getsourcelines(each)[1]) for name, each in found.items()}
    return {name: found[name] for name in sorted(found, key=places.get)}


def first_networks():
    """Returns the names of the first network in each file: its smallest one."""
    files = {}
    for name, function in all_networks().items():
        files.setdefault(inspect.getfile(function), name)
    return tuple(files.values())


def build(name, image_size, classes, rng):
    """Returns the float network with random weights."""
    size = max(image_size, _SMALLEST.get(name, 0))
    model = all_networks()[name](weights=None, input_shape=(size, size, 3), classes=classes)
    for variable in model.trainable_variables:
        if len(variable.shape) == 1:
            centre = 1.0 if variable.path.endswith("gamma") else 0.0
            variable.assign(rng.normal(centre, 0.1, variable.shape))
    return model


def images(model, count, rng):
    """Smooth random images: from 0 to 255 where the network rescales by itself, else from -1 to 1."""
    size = model.input_shape[1]
    coarse = rng.uniform(0, 255, (count, 8, 8, 3)).astype(np.float32)
    smooth = np.asarray(tf.image.resize(coarse, (size, size), method="bilinear"))
    pixels = np.clip(np.rint(smooth + rng.normal(0, 8, smooth.shape)), 0, 255).astype(np.float32)
    rescales = any(isinstance(layer, keras.layers.Rescaling) for layer in model.layers)
    return pixels if rescales else pixels / 127.5 - 1


def run(name, image_size, classes, seed):
    """Takes one network all the way and returns what happened."""
    keras.utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    model = build(name, image_size, classes, rng)
    x, labels = images(model, 32, rng), rng.integers(0, classes, 32)
    record = {
        "parameters": model.count_params(),
        "image_size": model.input_shape[1],
        "float_bytes": len(tf.lite.TFLiteConverter.from_keras_model(model).convert()),
    }
    search_model = tfmp.relax(model, weight_bits=_WEIGHT_BITS, activation_bits=_ACTIVATION_BITS, calibration=x)
    record["layers"] = layer_counts(model)
    search = tfmp.MixedPrecisionSearch(budget=tfmp.Budget("bitops", like_uniform=_UNIFORM))
    # Gradients of a deep network with random weights explode: unclipped, one step moves every range to nowhere.
    weights = keras.optimizers.SGD(0.01, global_clipnorm=1.0)
    search_model.compile(tfmp.SelectionOptimizer(weights, "adam"), keras.losses.SparseCategoricalCrossentropy())
    search_model.fit(x[:16], labels[:16], batch_size=8, callbacks=[search], verbose=0)
    assignment = tfmp.discretize(search_model, strategy="budget", budget=search.budget)
    fixed = tfmp.fix(search_model, assignment, calibration=x)
    record["weight_bits"] = {bits: sum(w == bits for w, _ in assignment.bits.values()) for bits in _WEIGHT_BITS}
    with tempfile.TemporaryDirectory() as folder:
        for mode in MODES:
            path = os.path.join(folder, f"{mode}.tflite")
            tfmp.export_tflite(fixed, path, mode=mode)
            report = tfmp.compare_tflite(fixed, path, x[:8])
            record[mode] = {**agreement(report), "predicted_bytes": tfmp.cost(fixed, tfmp.costs.TFLiteBytes(mode))}
        path = os.path.join(folder, "float.tflite")
        tfmp.export_tflite(fixed, path, mode="float")
        report = tfmp.compare_tflite(fixed, path, x[:8])
        record["float"] = {"bytes": report.size_bytes, "end_to_end_equal_share": report.trained.equal_share}
    return record


def layer_counts(model):
    """How many layers are searched, kept at 8 bits, without a kernel, and in floating point."""
    statuses = {"searched": "searched", "kept": "8 bits", "without kernel": "follows", "floating": "float"}
    rows = tfmp.inspect(model).rows
    return {name: sum(row.status == status for row in rows) for name, status in statuses.items()}


def agreement(report):
    """What a comparison says in a few numbers."""
    first = next((o for o in report.operators if o.largest_difference > 1), None)
    return {
        "bytes": report.size_bytes,
        "operators": len(report.operators),
        "operators_all_equal": sum(o.equal_share == 1 for o in report.operators),
        "smallest_equal_share": min(o.equal_share for o in report.operators),
        "largest_operator_difference": max(o.largest_difference for o in report.operators),
        "first_operator_beyond_1": None if first is None else first.name,
        "end_to_end_equal_share": report.folded.equal_share,
        "end_to_end_largest_deviations": report.folded.largest_difference,
        "top1_agreement": report.folded.top1_agreement,
        "outside_xnnpack": [f"{kind} {tensor}" for kind, tensor in report.outside_xnnpack],
    }


def main(_):
    """Runs what has no result yet."""
    results = pathlib.Path(FLAGS.results_dir)
    results.mkdir(parents=True, exist_ok=True)
    for name in all_networks() if FLAGS.networks == ["all"] else FLAGS.networks or first_networks():
        path = results / f"{name}.json"
        if path.exists():
            print(f"{path.name}: exists, skipped")
            continue
        keras.utils.clear_session()
        start = time.time()
        try:
            record = run(name, FLAGS.image_size, FLAGS.classes, FLAGS.seed)
        except ValueError as error:
            record = {"error": str(error)}
        record = {
            "network": name,
            "seed": FLAGS.seed,
            **record,
            "seconds": round(time.time() - start),
            "versions": {"tfmp": tfmp.__version__, "keras": keras.__version__, "tensorflow": tf.__version__},
        }
        write_atomically(path, json.dumps(record, indent=1) + "\n")
        print(f"{path.name}: {record.get('error', 'done')} after {record['seconds']} s", flush=True)


if __name__ == "__main__":
    flags.DEFINE_list("networks", [], "Names in `keras.applications`, or `all`; the first of each file by default.")
    flags.DEFINE_integer("image_size", 64, "Height and width; a network that needs more gets its smallest.")
    flags.DEFINE_integer("classes", 100, "Size of the output.")
    flags.DEFINE_integer("seed", 0, "Of weights and images.")
    flags.DEFINE_string("results_dir", str(RESULTS), "Folder of the JSON of finished networks.")
    app.run(main)
