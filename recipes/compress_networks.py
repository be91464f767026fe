"""What `tfmp compress` takes and makes, from a trained network and its data to the report.

    python -m recipes.compress_networks
    python -m recipes.compress_networks --methods=digits

`mobilenet_v1` is that of `recipes.float_networks`, of width 0.25, with 10,000 training images of CIFAR-10 and all test
images; `digits` is the network of `tfmp demo` with the digits of scikit-learn. Each is saved as a user would save it.
The command then runs in a process of its own, whose processor time and wall time are measured, imports included; the
training in floating point before it is not.

Every finished run leaves one JSON in `recipes/results/compress_networks/`.
"""

import os
import resource
import shutil
import subprocess
import sys
import time

import keras
import numpy as np

import tfmp
from recipes import classifier, experiment, float_networks
from recipes.datasets import cifar10
from tfmp import demo
from tfmp.reports import RunReport


def mobilenet_v1(config):
    """Returns a trained MobileNetV1 and its normalized images of CIFAR-10."""
    (x, y), (x_test, y_test) = cifar10.load_cifar10()
    count = config["num_train"]
    data = (classifier.normalized(x[:count]), y[:count]), (classifier.normalized(x_test), y_test)
    return float_networks.load("mobilenet_v1"), data


def digits(config):
    """Returns the network of the demo, trained in floating point, and the digits."""
    keras.utils.set_random_seed(0)
    data = demo.load_digits()
    model = tfmp.networks.get("digits_cnn")(keras)
    classifier.compile_model(model, keras.optimizers.Adam(3e-3))
    model.fit(*data[0], batch_size=32, epochs=config["float_epochs"], verbose=0)
    return model, data


NETWORKS = {"mobilenet_v1": mobilenet_v1, "digits": digits}


def compress(run):
    """Compresses one network by the command, and returns what it took and made."""
    folder = run.backup_dir
    shutil.rmtree(folder, ignore_errors=True)  # a resumed command would take less time
    folder.mkdir(parents=True)
    model, ((x, y), (x_test, y_test)) = NETWORKS[run.config["network"]](run.config)
    model.save(folder / "model.keras")
    np.savez(folder / "data.npz", x_train=x, y_train=y, x_test=x_test, y_test=y_test)
    command = ["compress", "model.keras", "data.npz", *run.config["options"].split()]
    seconds, cpu_seconds = measured_seconds([sys.executable, "-m", "tfmp", *command], folder)
    report = RunReport.from_json(folder / "model-compressed" / "report.json")
    shutil.rmtree(folder)
    return {
        "accuracy": report.accuracies["file"],
        "float_accuracy": report.accuracies["float"],
        "num_samples": report.num_samples,
        "file_bytes": report.size_bytes,
        "is_met": report.is_met,
        "ways": [attempt.way for attempt in report.attempts],
        "options": run.config["options"],
        "cpu_seconds": cpu_seconds,
        "wall_seconds": seconds,
    }


def measured_seconds(command, folder):
    """Runs a command in a folder, and returns its wall time and its processor time.

    Raises:
        subprocess.CalledProcessError: If it fails; not for the exit code of a limit that was not met.
    """
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(command, cwd=folder, env={**os.environ, "PYTHONPATH": os.getcwd()})
    seconds, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode not in (0, 3):
        raise subprocess.CalledProcessError(done.returncode, command)
    return round(seconds, 1), round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 1)


METHODS = {"compress": compress}

if __name__ == "__main__":
    experiment.main("compress_networks", METHODS)
