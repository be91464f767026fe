"""The four networks of MLPerf Tiny inside a flash and a RAM budget of a microcontroller.

    python -m recipes.mlperf_tiny                                       # every network, budget and way
    python -m recipes.mlperf_tiny --methods=resnet8-int8,resnet8-48k-64k-uniform,resnet8-48k-64k-searched

Speech commands, visual wake words and machine sounds are not downloaded. Their networks learn stand-ins of the same
shape: `ds_cnn` the ten classes of Fashion-MNIST at 49 x 10 pixels, `mobilenet_v1_vww` animals against vehicles of
CIFAR-10 at 96 x 96, and `dense_autoencoder` the trousers of Fashion-MNIST at 20 x 32, by whose error all other clothes
are to be told (area under the ROC curve). `resnet8` classifies CIFAR-10, as it does there, from the weights of
`recipes.float_networks`.

Three ways choose bits within both budgets: `uniform` takes the most bits that are within them in all layers, `ilp`
those of least total sensitivity, and `searched` starts a search from the bits of `ilp`. All start from the same float
weights and train for the same epochs with the same learning rates, the epochs of the search included. `int8` is the
file of TensorFlow's converter. Flash and arena are what the file takes in TensorFlow Lite for Microcontrollers.

Every finished run leaves one JSON in `recipes/results/mlperf_tiny/`.
"""

import dataclasses
import functools
import pathlib
import tempfile
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf
from scipy import stats

import tfmp
from recipes import classifier, experiment, float_networks
from recipes.datasets import load_cifar10, load_fashion_mnist
from recipes.sensitivities import sensitivity_of
from tfmp.tflite.interpreter import Interpreter
from tfmp.tflite.micro_interpreter import MicroInterpreter

_ANIMALS = (2, 3, 4, 5, 6, 7)
_NORMAL = 1  # trousers
_CROSS_ENTROPY = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
_BATCH_SIZE = 500  # of evaluations


def accuracy(outputs, inputs, labels):
    """Share of the samples whose largest logit is that of their class."""
    return float(np.mean(outputs.argmax(-1) == labels))


def anomaly_auc(outputs, inputs, labels):
    """Probability that something else has a larger error than trousers (Mann and Whitney, 1947)."""
    is_abnormal = labels != _NORMAL
    ranks = stats.rankdata(np.mean((outputs - inputs) ** 2, axis=-1))
    count = np.count_nonzero(is_abnormal)
    return float((ranks[is_abnormal].sum() - count * (count + 1) / 2) / (count * np.count_nonzero(~is_abnormal)))


@dataclasses.dataclass(frozen=True)
class Task:
    """What a network learns.

    Args:
        load: Returns `(x_train, y_train), (x_test, y_test)`, images of bytes and labels.
        prepare: Function of a batch of images that returns inputs.
        score: Function of outputs, inputs and labels; 1 is perfect.
        loss: A Keras loss.
        has_labels: False if the inputs are their own targets.
        build: Returns the network, not trained; None for that of `recipes.float_networks`.
    """

    load: Callable
    prepare: Callable
    score: Callable = accuracy
    loss: keras.losses.Loss = _CROSS_ENTROPY
    has_labels: bool = True
    build: Callable | None = None

    def batches(self, images, labels, batch_size, *, seed=None):
        """Returns a `tf.data.Dataset` of inputs and targets, shuffled if there is a seed."""
        batches = tf.data.Dataset.from_tensor_slices((images, labels))
        if seed is not None:
            batches = batches.shuffle(len(labels), seed=seed).batch(batch_size, drop_remainder=True)
        else:
            batches = batches.batch(batch_size)

        def prepared(x, y):
            x = self.prepare(x)
            return (x, y) if self.has_labels else (x, x)

        return batches.map(prepared, num_parallel_calls=1).prefetch(2)

    def inputs(self, images):
        """Returns inputs as an array."""
        return np.asarray(self.prepare(tf.constant(images)))


def _normalized(images):
    return (tf.cast(images, tf.float32) / 255.0 - classifier.MEAN) / classifier.DEVIATION


def _resized(images, size):
    return tf.image.resize(tf.cast(images, tf.float32)[..., None], size) / 127.5 - 1.0


def _animals():
    return tuple((images, np.isin(labels, _ANIMALS).astype(np.int64)) for images, labels in load_cifar10())


def _trousers():
    (x_train, y_train), test = load_fashion_mnist()
    is_normal = y_train == _NORMAL
    return (x_train[is_normal], y_train[is_normal]), test


def _network(name, **options):
    return functools.partial(tfmp.networks.get(name), keras, **options)


TASKS = {
    "resnet8": Task(load_cifar10, _normalized),
    "ds_cnn": Task(
        load_fashion_mnist, lambda images: _resized(images, (49, 10)), build=_network("ds_cnn", num_classes=10)
    ),
    "mobilenet_v1_vww": Task(
        _animals,
        lambda images: tf.image.resize(_normalized(images), (96, 96)),
        build=_network("mobilenet_v1_vww", num_classes=2),
    ),
    "dense_autoencoder": Task(
        _trousers,
        lambda images: tf.reshape(_resized(images, (20, 32)), (-1, 640)),
        score=anomaly_auc,
        loss=keras.losses.MeanSquaredError(),
        has_labels=False,
        build=_network("dense_autoencoder"),
    ),
}


def run_int8(run):
    """Converts the float network with TensorFlow's converter, at 8 bits."""
    task, train, test = _task(run)
    model = _float_model(run, task, train)
    inputs = task.inputs(train[0][: run.config["num_calibration"]])
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([sample[None]] for sample in inputs)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    content = converter.convert()
    interpreter = Interpreter(content)
    return {
        **_scores(task, test, lambda x: next(iter(interpreter.run(x).values()))),
        "float_accuracy": _score(task, test, model),
        "flash_bytes": len(content),
        "arena_bytes": MicroInterpreter(content).arena_bytes,
    }


def run_assigned(run, name):
    """Trains the bits of a baseline: `"uniform"` or `"ilp"`."""
    task, train, test = _task(run)
    model = _float_model(run, task, train)
    search_model = _relaxed(run, task, train, model)
    found = _assigned(run, name, search_model, task, train)
    return {"float_accuracy": _score(task, test, model), **_finished(run, search_model, found)}


def run_searched(run):
    """Searches bits within the budgets, from those of `ilp` on, and trains them for the remaining epochs."""
    task, train, test = _task(run)
    config, model = run.config, _float_model(run, task, train)
    search_model, budgets = _relaxed(run, task, train, model), _budgets(config)
    start = _assigned(run, "ilp", search_model, task, train)
    tfmp.initialize_search(search_model, start, confidence=config["confidence"])
    search = tfmp.MixedPrecisionSearch(budgets, backup_dir=run.backup_dir)
    batches = task.batches(*train, config["batch_size"], seed=run.seed)
    weights = _adam(config, config["learning_rate"], len(batches))
    search_model.compile(tfmp.SelectionOptimizer(weights), task.loss)
    search_model.fit(batches, epochs=config["search_epochs"], callbacks=[search], verbose=2)
    found = tfmp.discretize(search_model, strategy="budget", budget=budgets)
    finished = _finished(run, search_model, found, first_epoch=config["search_epochs"])
    return {"float_accuracy": _score(task, test, model), **finished}


def _assigned(run, name, search_model, task, train):
    """Returns the bits of a baseline within the budgets."""
    scores = None
    if tfmp.assign.needs_scores(name):
        inputs = task.inputs(train[0][: run.config["num_calibration"]])
        divergence = "kl" if task.has_labels else "squared_error"
        scores, _ = sensitivity_of(search_model, inputs, run, divergence=divergence)
    return tfmp.assign.by_name(name, search_model, _budgets(run.config), sensitivity=scores)


def _finished(run, search_model, found, *, first_epoch=0):
    """Trains given bits for the remaining epochs, writes the file and returns the record."""
    task, train, test = _task(run)
    print(found, flush=True)
    inputs = task.inputs(train[0][: run.config["num_calibration"]])
    fixed = tfmp.fix(search_model, found, calibration=inputs)
    batches = task.batches(*train, run.config["batch_size"], seed=run.seed + first_epoch)
    fixed.compile(_adam(run.config, run.config["learning_rate"], len(batches), first_epoch), task.loss)
    fixed.fit(batches, epochs=run.config["epochs"] - first_epoch, verbose=2)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "model.tflite"
        samples = task.inputs(test[0][:64])
        report = tfmp.export_tflite(fixed, path, target="micro", verify=samples, tolerance=None)
    # Every code of the file is that of the folded model, so the accuracy is the file's.
    folded = tfmp.fold(fixed, mode="small", target="micro")
    return {
        **_scores(task, test, lambda x: folded.predict(x, verbose=0)),
        "flash_bytes": report.size_bytes,
        "arena_bytes": report.file.arena_bytes,
        "operators": len(report.operators),
        "operators_all_equal": sum(not operator.largest_difference for operator in report.operators),
        "bits": {name: list(pair) for name, pair in found.bits.items()},
    }


def _scores(task, test, predict):
    images, labels = test
    parts = [
        (np.asarray(predict(inputs)), inputs)
        for inputs in (task.inputs(images[i : i + _BATCH_SIZE]) for i in range(0, len(images), _BATCH_SIZE))
    ]
    outputs, inputs = (np.concatenate(each) for each in zip(*parts, strict=True))
    return {"accuracy": task.score(outputs, inputs, labels), "num_test": len(labels)}


def _score(task, test, model):
    return _scores(task, test, lambda x: model.predict(x, verbose=0))["accuracy"]


def _task(run):
    """Returns the task, and the first images of its training set and of its test set."""
    task = TASKS[run.config["network"]]
    (x_train, y_train), (x_test, y_test) = task.load()
    num_train, num_test = run.config["num_train"], run.config["num_test"]
    return task, (x_train[:num_train], y_train[:num_train]), (x_test[:num_test], y_test[:num_test])


def _float_model(run, task, train):
    """Returns the trained float network, from its file if it was trained before."""
    config = run.config
    if task.build is None:
        return float_networks.load(config["network"])
    path = run.work_dir / "mlperf_tiny" / f"{config['network']}-seed{run.seed}.keras"
    if path.exists():
        return keras.models.load_model(path)
    keras.utils.set_random_seed(run.seed)
    model = task.build()
    epochs, batches = config["float_epochs"], task.batches(*train, config["batch_size"], seed=run.seed)
    rate = classifier.cosine(config["float_learning_rate"], epochs, len(batches))
    model.compile(keras.optimizers.Adam(rate), task.loss)
    model.fit(batches, epochs=epochs, verbose=2)
    path.parent.mkdir(parents=True, exist_ok=True)
    model.save(path.with_suffix(".tmp.keras"))
    path.with_suffix(".tmp.keras").replace(path)
    return model


def _adam(config, rate, steps_per_epoch, first_epoch=0):
    """Returns Adam with a learning rate that decays over all epochs, from one of them on."""
    return keras.optimizers.Adam(classifier.cosine(rate, config["epochs"], steps_per_epoch, first_epoch=first_epoch))


def _relaxed(run, task, train, model):
    inputs = task.inputs(train[0][: run.config["num_calibration"]])
    candidates = {f"{tensor}_bits": run.config[f"{tensor}_candidates"] for tensor in ("weight", "activation")}
    keras.utils.set_random_seed(run.seed)
    return tfmp.relax(model, **candidates, calibration=inputs, seed=run.seed)


def _budgets(config):
    limits = {"micro_bytes": config["flash_kib"], "micro_arena_bytes": config["ram_kib"]}
    return [tfmp.Budget(cost, limit=1024 * limit) for cost, limit in limits.items()]


METHODS = {
    "int8": run_int8,
    **{name: functools.partial(run_assigned, name=name) for name in ("uniform", "ilp")},
    "searched": run_searched,
}

if __name__ == "__main__":
    experiment.main("mlperf_tiny", METHODS)
