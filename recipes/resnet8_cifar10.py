"""Uniform against mixed precision at equal BitOps: ResNet-8 on CIFAR-10.

    python -m recipes.resnet8_cifar10 --seeds=0,1,2,3

- `float`: trains in floating point. All others start from its weights.
- `uniform`: LSQ at W2A2 everywhere, for the epochs of a search and of a fine-tuning together.
- `mixed`: searches bits at the same BitOps, then fine-tunes at them: the same number of epochs in all.
- `retrained`: trains the bits that `mixed` found exactly as `uniform` trains its own, which compares the bits alone.

Every finished run leaves one JSON in `recipes/results/resnet8_cifar10/`; runs whose JSON exists are skipped, and a
killed search resumes. Preloading tcmalloc (`LD_PRELOAD=libtcmalloc_minimal.so.4`) halves the time where glibc gives
the large temporaries back to the system after every step.
"""

import json
import os
import pathlib
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from absl import app, flags

import tfmp
from recipes.datasets import cifar10
from tfmp.networks import resnet8
from tfmp.types.atomic_file import write_atomically

FLAGS = flags.FLAGS
RESULTS = pathlib.Path(__file__).parent / "results" / "resnet8_cifar10"

flags.DEFINE_list("methods", ["float", "uniform", "mixed", "retrained"], "What to run, in this order.")
flags.DEFINE_list("seeds", ["0"], "Seeds to run with.")
flags.DEFINE_string("config", str(RESULTS.parent.parent / "configs" / "resnet8_cifar10.json"), "Settings, a JSON file.")
flags.DEFINE_string("work_dir", "runs/resnet8_cifar10", "Folder of weights and backups, to resume from.")
flags.DEFINE_string("results_dir", str(RESULTS), "Folder of the JSON of finished runs.")
flags.DEFINE_list("set", [], "Settings to override, as key=value; the run's name then shows them.")

_MEAN = np.array([0.4914, 0.4822, 0.4465], np.float32)
_DEVIATION = np.array([0.2470, 0.2435, 0.2616], np.float32)


def datasets(config, seed):
    """Returns the training set, shuffled and augmented by (seed, epoch), and the test set as arrays."""
    (x_train, y_train), (x_test, y_test) = cifar10.load_cifar10()
    x_train, y_train = x_train[: config["num_train"]], y_train[: config["num_train"]]
    x_train, x_test = (
        (x / 255.0 - _MEAN) / _DEVIATION for x in (x_train.astype(np.float32), x_test.astype(np.float32))
    )
    padded = np.pad(x_train, ((0, 0), (4, 4), (4, 4), (0, 0)))
    return Augmented(padded, y_train, config["batch_size"], seed), (x_train, (x_test, y_test))


class Augmented(keras.utils.PyDataset):
    """Random crops and flips, decided by (seed, epoch) alone, so that a resumed run sees what an unbroken one sees."""

    def __init__(self, padded, labels, batch_size, seed):
        super().__init__()
        self.padded, self.labels, self.batch_size, self.seed = padded, labels, batch_size, seed
        self.set_epoch(0)

    def set_epoch(self, epoch):
        rng = np.random.default_rng((self.seed, epoch))
        count = len(self.labels)
        self.order = rng.permutation(count)
        self.shifts = rng.integers(0, 9, (count, 2))
        self.flips = rng.random(count) < 0.5
        self.epoch = epoch

    def __len__(self):
        return len(self.labels) // self.batch_size

    def __getitem__(self, index):
        chosen = self.order[index * self.batch_size : (index + 1) * self.batch_size]
        images = np.empty((len(chosen), 32, 32, 3), np.float32)
        for row, image in enumerate(chosen):
            top, left = self.shifts[image]
            crop = self.padded[image, top : top + 32, left : left + 32]
            images[row] = crop[:, ::-1] if self.flips[image] else crop
        return images, self.labels[chosen]


class EpochSeed(keras.callbacks.Callback):
    """Tells the data which epoch it is."""

    def __init__(self, dataset, first=0):
        super().__init__()
        self.dataset, self.first = dataset, first

    def on_epoch_begin(self, epoch, logs=None):
        self.dataset.set_epoch(self.first + epoch)


def cosine(learning_rate, epochs, steps_per_epoch):
    """A learning rate that falls to zero over all steps."""
    return keras.optimizers.schedules.CosineDecay(learning_rate, epochs * steps_per_epoch)


def compile_model(model, optimizer):
    """Compiles a classifier with logits."""
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, metrics=["accuracy"])


def sgd(learning_rate, epochs, steps_per_epoch):
    """SGD with momentum and a cosine schedule."""
    return keras.optimizers.SGD(cosine(learning_rate, epochs, steps_per_epoch), momentum=0.9, nesterov=True)


def train(model, data, test, epochs, learning_rate, *, first_epoch=0):
    """Trains at fixed structure and returns the history and the final test accuracy."""
    compile_model(model, sgd(learning_rate, epochs, len(data)))
    callbacks = [EpochSeed(data, first_epoch)]
    history = model.fit(
        data, epochs=epochs, shuffle=False, callbacks=callbacks, verbose=2
    )  # the data shuffle themselves
    return history.history, accuracy(model, test)


def accuracy(model, test):
    """Share of the test images that a model gets right."""
    return float(model.evaluate(*test, batch_size=500, verbose=0)[1])


def float_model(config, seed, work_dir):
    """Returns the trained float model, from its file if it was trained before."""
    path = work_dir / f"float-seed{seed}.keras"
    if path.exists():
        return keras.models.load_model(path), None
    keras.utils.set_random_seed(seed)
    model = resnet8.build(keras)
    data, (_, test) = datasets(config, seed)
    history, _ = train(model, data, test, config["float_epochs"], config["float_learning_rate"])
    work_dir.mkdir(parents=True, exist_ok=True)
    model.save(path.with_suffix(".tmp.keras"))
    os.replace(path.with_suffix(".tmp.keras"), path)
    return model, history


def run_float(config, seed, work_dir):
    """Trains in floating point."""
    model, history = float_model(config, seed, work_dir)
    _, (_, test) = datasets(config, seed)
    return {"accuracy": accuracy(model, test), "history": history}


def relaxed(model, config, seed, x_train):
    """The relaxed model of a configuration."""
    return tfmp.relax(
        model,
        weight_bits=tuple(config["weight_bits"]),
        activation_bits=tuple(config["activation_bits"]),
        quantizer=config["quantizer"],
        relaxation=config["relaxation"],
        shared_range=config["shared_range"],
        calibration=x_train[:512],
        seed=seed,
    )


def run_uniform(config, seed, work_dir):
    """Trains at the same bits everywhere."""
    model, _ = float_model(config, seed, work_dir)
    data, (x_train, test) = datasets(config, seed)
    keras.utils.set_random_seed(seed)
    bits = tuple(config["uniform_bits"])
    uniform = tfmp.relax(
        model, weight_bits=bits[:1], activation_bits=bits[1:], quantizer=config["quantizer"], calibration=x_train[:512]
    )
    epochs = config["search_epochs"] + config["finetune_epochs"]
    history, final = train(uniform, data, test, epochs, config["learning_rate"])
    return {"accuracy": final, "bitops": tfmp.cost(uniform, "bitops"), "history": history}


def run_mixed(config, seed, work_dir):
    """Searches, fixes and fine-tunes."""
    model, _ = float_model(config, seed, work_dir)
    data, (x_train, test) = datasets(config, seed)
    keras.utils.set_random_seed(seed)
    search_model = relaxed(model, config, seed, x_train)
    search = tfmp.MixedPrecisionSearch(
        budget=tfmp.Budget("bitops", like_uniform=tuple(config["uniform_bits"])),
        multiplier=tfmp.search.DualAscent(**config["multiplier"]),
        temperature=tuple(config["temperature"]),
        backup_dir=work_dir / f"{config['name']}-seed{seed}",
    )
    epochs = config["search_epochs"]
    weights = keras.optimizers.SGD(config["search_learning_rate"], momentum=0.9, nesterov=True)
    selection = keras.optimizers.Adam(config["selection_learning_rate"])
    compile_model(search_model, tfmp.SelectionOptimizer(weights, selection))
    callbacks = [EpochSeed(data), search]
    history = search_model.fit(data, epochs=epochs, shuffle=False, callbacks=callbacks, verbose=2).history
    relaxed_accuracy = accuracy(search_model, test)
    assignment = tfmp.discretize(search_model, strategy="budget", budget=search.budget)
    probabilities = {name: [p.tolist() for p in pair] for name, pair in search.probabilities().items()}
    print(
        assignment, {name: [np.round(p, 2).tolist() for p in pair] for name, pair in probabilities.items()}, flush=True
    )
    fixed = tfmp.fix(search_model, assignment, calibration=x_train[:2048])
    compile_model(fixed, "sgd")
    discretized_accuracy = accuracy(fixed, test)
    finetuned, final = train(fixed, data, test, config["finetune_epochs"], config["learning_rate"], first_epoch=epochs)
    return {
        "accuracy": final,
        "relaxed_accuracy": relaxed_accuracy,
        "discretized_accuracy": discretized_accuracy,
        "bitops": tfmp.cost(fixed, "bitops"),
        "bits": {name: list(pair) for name, pair in assignment.bits.items()},
        "probabilities": probabilities,
        "history": history,
        "finetune_history": finetuned,
    }


def run_retrained(config, seed, work_dir):
    """Trains the bits that `mixed` found from the float weights, exactly as `uniform` trains its own."""
    found = pathlib.Path(FLAGS.results_dir) / f"{config['name'].replace('retrained', 'mixed', 1)}-seed{seed}.json"
    if not found.exists():
        raise FileNotFoundError(f"There is no {found}: run the method `mixed` with the same settings first.")
    model, _ = float_model(config, seed, work_dir)
    data, (x_train, test) = datasets(config, seed)
    keras.utils.set_random_seed(seed)
    bits = {name: tuple(pair) for name, pair in json.loads(found.read_text())["bits"].items()}
    fixed = tfmp.fix(relaxed(model, config, seed, x_train), bits, calibration=x_train[:2048])
    history, final = train(
        fixed, data, test, config["search_epochs"] + config["finetune_epochs"], config["learning_rate"]
    )
    return {"accuracy": final, "bitops": tfmp.cost(fixed, "bitops"), "bits": bits, "history": history}


RUNS = {"float": run_float, "uniform": run_uniform, "mixed": run_mixed, "retrained": run_retrained}


def main(_):
    """Runs what has no result yet."""
    config = json.loads(pathlib.Path(FLAGS.config).read_text())
    overrides = dict(item.split("=", 1) for item in FLAGS.set)
    config.update(
        {key: json.loads(value) if value[:1] in "[{0123456789tf" else value for key, value in overrides.items()}
    )
    results = pathlib.Path(FLAGS.results_dir)
    results.mkdir(parents=True, exist_ok=True)
    suffix = "".join(f"-{key}={value}" for key, value in overrides.items())
    for seed in map(int, FLAGS.seeds):
        for method in FLAGS.methods:
            name = method + (suffix if method != "float" else "")
            path = results / f"{name}-seed{seed}.json"
            if path.exists():
                print(f"{path.name}: exists, skipped")
                continue
            start = time.time()
            result = RUNS[method]({**config, "name": name}, seed, pathlib.Path(FLAGS.work_dir))
            record = {
                "method": method,
                "seed": seed,
                **result,
                "seconds": round(time.time() - start),
                "config": config,
                "versions": {"tfmp": tfmp.__version__, "keras": keras.__version__, "tensorflow": tf.__version__},
            }
            write_atomically(path, json.dumps(record, indent=1) + "\n")
            print(f"{path.name}: accuracy {result['accuracy']:.4f} after {record['seconds']} s", flush=True)


if __name__ == "__main__":
    app.run(main)
