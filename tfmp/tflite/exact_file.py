"""Verifies files of runtimes whose arithmetic is exact in the folded model."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from tfmp.reports import TFLiteReport
from tfmp.tflite.file_runner import FileRunner

_SAMPLES = 8


def any_samples(interpreter: FileRunner) -> Iterator[Mapping[str, np.ndarray]]:
    """Yields one batch of numbers by input name: random codes of the file's inputs, where no other inputs are given."""
    rng = np.random.default_rng(0)
    yield {name: _numbers(rng, tensor) for name, tensor in interpreter.inputs.items()}


def _numbers(rng: np.random.Generator, tensor: Any) -> np.ndarray:
    shape = (_SAMPLES, *tensor.shape[1:])
    if tensor.scale is None:
        kind = np.dtype(tensor.dtype).kind
        return rng.normal(size=shape).astype(tensor.dtype) if kind == "f" else rng.integers(0, 2, shape, tensor.dtype)
    limits = np.iinfo(tensor.dtype)
    return tensor.values(rng.integers(limits.min, limits.max, shape, tensor.dtype, endpoint=True))


def check_exact(report: TFLiteReport, words: str) -> None:
    """Raises `ValueError` if a code of a file differs from the folded model, given the same inputs.

    Args:
        report: The report of the file.
        words: Name of its runtime.
    """
    for operator in report.operators:
        if operator.largest_difference:
            raise ValueError(
                f"Operator `{operator.name}` ({operator.kind}) of the file differs from the folded model in {words}: "
                f"{operator.equal_share:.2%} of its codes are equal. Expected all. This version of the runtime rounds "
                "differently from the tested one."
            )
