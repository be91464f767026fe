"""What a machine has that tfmp needs, found by trying it."""

import dataclasses
import importlib.metadata
import os
import pathlib
import platform
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence

from tfmp.version import VERSION

_OK, _MISSING, _FAILED = "ok", "not installed", "failed"
_NEEDED = ("tensorflow", "keras", "ai-edge-litert", "numpy")
_EXTRAS = {
    "tf_keras": "keras2",
    "tensorflow-model-optimization": "tfmot",
    "tflite-micro": "micro",
    "keras-tuner": "tuner",
    "matplotlib": "plots",
    "scikit-learn": "demo",
}
_SMALLEST_SPACE = 2**28  # bytes; backups of a small search take this much


@dataclasses.dataclass(frozen=True)
class Finding:
    """One property of the environment.

    Args:
        name: What was looked at.
        status: `"ok"`, `"not installed"` or `"failed"`.
        value: What was found: a version, or an error.
        advice: What to do, unless it is ok.
    """

    name: str
    status: str
    value: str = ""
    advice: str = ""


@dataclasses.dataclass(frozen=True)
class Environment:
    """All findings; `str` prints a table."""

    findings: Sequence[Finding]

    @property
    def failed(self) -> list[str]:
        """Names of what failed."""
        return [finding.name for finding in self.findings if finding.status == _FAILED]

    def __str__(self) -> str:
        widths = [max(len(getattr(each, key)) for each in self.findings) for key in ("name", "status")]
        lines = []
        for each in self.findings:
            cells = [each.name.ljust(widths[0]), each.status.ljust(widths[1]), each.value]
            lines.append("  ".join(cells).rstrip())
            if each.advice:
                lines.append(f"{'':{sum(widths) + 4}}{each.advice}")
        return "\n".join(lines)


def examine() -> Environment:
    """Tries what tfmp needs: packages, XLA, LiteRT and TensorFlow Lite for Microcontrollers, and the current folder."""
    findings = [
        Finding("tfmp", _OK, VERSION),
        Finding("python", _OK, platform.python_version()),
        *_packages(),
    ]
    if not any(each.status != _OK for each in findings if each.name in _NEEDED):
        findings += _tried("Keras backend", _backend, "Set KERAS_BACKEND=tensorflow before the first import of Keras.")
    if findings[-1] == Finding("Keras backend", _OK, "tensorflow"):
        findings += _tried("devices", _devices, "See https://www.tensorflow.org/install.")
        findings += _tried("XLA", _xla, "Compile models without `jit_compile=True`.")
        findings += _tried("LiteRT", lambda: _file_of("litert"), "Install `ai-edge-litert` again.")
        if all(each.status == _OK for each in findings if each.name == "tflite-micro"):
            findings += _tried("microcontrollers", lambda: _file_of("micro"), "Install `tflite-micro` again.")
    findings.append(Finding("threads", _OK, _threads()))
    findings += _tried("current folder", _write_access, "Work in a folder that you may write to.")
    return Environment(findings)


def _packages() -> Iterator[Finding]:
    for name in (*_NEEDED, *_EXTRAS):
        try:
            yield Finding(name, _OK, importlib.metadata.version(name))
        except importlib.metadata.PackageNotFoundError:
            if name in _NEEDED:
                yield Finding(name, _FAILED, "not installed", f"pip install {name}")
            else:
                yield Finding(name, _MISSING, "", f"pip install 'tfmp[{_EXTRAS[name]}]' if you need it")


def _tried(name: str, attempt: Callable[[], str], advice: str) -> Iterator[Finding]:
    try:
        yield Finding(name, _OK, attempt())
    except Exception as error:  # a check must not end the others, whatever a library raises
        yield Finding(name, _FAILED, " ".join(f"{type(error).__name__}: {error}".split())[:200], advice)


def _backend() -> str:
    import keras

    if keras.config.backend() != "tensorflow":
        raise ValueError(f"expected tensorflow, received {keras.config.backend()}")
    return "tensorflow"


def _devices() -> str:
    import tensorflow as tf

    return ", ".join(device.name.removeprefix("/physical_device:") for device in tf.config.list_physical_devices())


def _xla() -> str:
    import tensorflow as tf

    total = tf.function(lambda x: tf.reduce_sum(x * x), jit_compile=True)(tf.range(5.0))
    if float(total) != 30:
        raise ValueError(f"expected 30, received {float(total)}")
    return "compiles"


def _file_of(target: str) -> str:
    """Exports a small network and runs the file."""
    import keras
    import numpy as np

    import tfmp

    inputs = np.random.default_rng(0).normal(size=(64, 8)).astype("float32")
    layers = [keras.layers.Dense(8, activation="relu"), keras.layers.Dense(8, activation="relu"), keras.layers.Dense(2)]
    model = keras.Sequential([keras.Input((8,)), *layers])
    fixed = tfmp.quantize(model, 8, calibration=inputs, post_training="ranges")
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "model.tflite"
        report = tfmp.export_tflite(fixed, path, target=target, verify=inputs)
    equal = sum(operator.equal_share == 1 for operator in report.operators)
    return f"runs a file of {report.size_bytes:,} bytes, {equal} of {len(report.operators)} operators equal"


def _threads() -> str:
    names = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")
    limits = [f"{name}={os.environ[name]}" for name in names if name in os.environ]
    return ", ".join([f"{os.cpu_count()} processors", *limits])


def _write_access() -> str:
    with tempfile.TemporaryFile(dir="."):
        pass
    free = shutil.disk_usage(".").free
    if free < _SMALLEST_SPACE:
        raise OSError(f"only {free / 1e6:,.0f} MB are free")
    return f"can be written, {free / 1e9:,.1f} GB free"
