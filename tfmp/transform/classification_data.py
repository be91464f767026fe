"""Checks the data of a classifier."""

from collections.abc import Mapping, Sequence
from typing import Any

from tfmp.annotations import KerasModel
from tfmp.bindings.framework import framework_of
from tfmp.data.batches import num_samples
from tfmp.data.model_inputs import ModelInputs
from tfmp.data.source import leaves
from tfmp.files.finite_values import check_class_indices, check_finite


def check_classification(
    data: Mapping[str, Any], model: KerasModel, parts: Sequence[str] = ("train", "test")
) -> dict[str, Any]:
    """Checks inputs and labels for a classifier before any work, and returns them.

    Args:
        data: Name to array, or to a dict of arrays by input, as `load_arrays` returns them.
        model: The classifier.
        parts: The names to check, of `x_train` and `y_train`, `x_test` and `y_test`.

    Returns:
        The same names to labels, and to inputs in the structure of the model's inputs.
    """
    if len(model.outputs) != 1:
        raise ValueError(f"Expected a classifier with one output. Received a model with {len(model.outputs)}.")
    inputs = ModelInputs.of(framework_of(model).read(model, weights=False))
    checked: dict[str, Any] = {}
    *places, classes = model.outputs[0].shape[1:]
    for part in parts:
        x, y = f"x_{part}", f"y_{part}"
        for array in leaves(data[x]):
            check_finite(x, array)
        arrays = inputs.named(data[x], f"`{x}`")
        lengths = {len(array) for array in arrays.values()}
        if len(lengths) > 1 or lengths == {0}:
            raise ValueError(
                f"`{x}` must hold one or more samples for every input. Received: {sorted(lengths)} samples"
            )
        check_class_indices(y, data[y], (num_samples(arrays), *places), classes)
        checked |= {x: inputs.arranged(arrays), y: data[y]}
    return checked
