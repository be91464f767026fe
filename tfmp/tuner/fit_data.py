"""Training and validation data of trials."""

import math
from typing import Any

from tfmp.annotations import KerasModel
from tfmp.data.batches import num_samples, regrouped
from tfmp.data.model_inputs import ModelInputs
from tfmp.data.source import Arrays, as_dataset, leaves, source_of
from tfmp.files.finite_values import check_class_indices, check_finite
from tfmp.files.run_identity import described
from tfmp.graph import Graph

_PARTS = ("x", "y", "sample_weight")  # of validation data, in the order of `fit`
_OWN = ("epochs", "initial_epoch", "validation_split", "validation_freq")


class FitData:
    """Data and options of `search`, for `fit`.

    Args:
        x: Inputs; or batches of inputs and targets: a `tf.data.Dataset`, a `PyDataset` or a function that returns an
            iterator of them.
        y: Targets, for inputs that are arrays.
        validation_data: Data by which trials are compared: a tuple as in `fit`, or batches.
        **options: More arguments of `fit`, such as `batch_size`.

    Raises:
        TypeError: If the data can be read only once, or are missing.
        ValueError: If the validation data are missing or infinite, or the tuner itself sets an option.
    """

    def __init__(self, x: Any = None, y: Any = None, *, validation_data: Any = None, **options: Any):
        reserved = [name for name in options if name in _OWN]
        if reserved:
            raise ValueError(
                f"`{reserved[0]}` is not an argument of a tuner's `search`: give the epochs to `tfmp.tuner.Training`, "
                "and the data that compare trials as `validation_data`."
            )
        if validation_data is None:
            raise ValueError("`search` needs `validation_data`, by which trials are compared. Received: None")
        self.x, self.y = as_dataset(x, "`x`"), y
        self._source = source_of(self.x, "`x`")
        if y is not None:
            if not isinstance(self._source, Arrays):
                raise ValueError("`y` goes with `x` as arrays. Received batches, which hold their targets, and `y`.")
            self._source = source_of((self.x, y), "`x` and `y`")
        validation_data = tuple(validation_data) if isinstance(validation_data, list) else validation_data
        self.validation_data = as_dataset(validation_data, "`validation_data`")
        self._validation_options = {
            "batch_size": options.pop("validation_batch_size", None) or options.get("batch_size"),
            "steps": options.pop("validation_steps", None),
        }
        self._check_validation()
        self.options = options

    def _check_validation(self):
        data = self.validation_data
        if isinstance(data, tuple) and not 1 <= len(data) <= len(_PARTS):
            raise ValueError(
                "`validation_data` must be inputs and targets, and sample weights if there are any, "
                f"(x, y) or (x, y, sample_weight). Received: a tuple of {len(data)}"
            )
        if source_of(data, "`validation_data`").num_batches(1) == math.inf and not self._validation_options["steps"]:
            raise ValueError(
                "`validation_data` must have an end. Received infinite data. Give `validation_steps`, or data "
                "that are not repeated."
            )

    def identity(self) -> dict[str, Any]:
        """JSON that is equal for equal data: all values of arrays; number and kind of batches."""
        return {
            "training": {"x": described(self.x), "y": described(self.y)},
            "validation": described(self.validation_data),
            "options": described({**self.options, "validation_steps": self._validation_options["steps"]}),
        }

    def check(self, graph: Graph, loss: Any) -> None:
        """Checks that arrays are finite, and match a network and its loss.

        Args:
            graph: The network.
            loss: As in `compile`; labels are checked for a sparse cross-entropy.
        """
        training = (self.x, self.y, self.options.get("sample_weight")) if isinstance(self._source, Arrays) else ()
        validation = self.validation_data if isinstance(self.validation_data, tuple) else ()
        for where, parts in (("", training), ("validation_data ", validation)):
            for name, part in zip(_PARTS, parts, strict=False):
                for array in leaves(part):
                    check_finite(f"{where}{name}", array)
            if parts:
                arrays = ModelInputs.of(graph).named(parts[0], f"`{where}x`")
                _check_labels(f"{where}y", parts[1:2], num_samples(arrays), graph, loss)

    def fit_arguments(self) -> dict[str, Any]:
        """Keyword arguments of `fit`."""
        return {"x": self.x, **({} if self.y is None else {"y": self.y}), **self.options}

    def evaluate(self, model: KerasModel) -> dict[str, float]:
        """Loss and metrics of a compiled model on the validation data."""
        is_arrays = isinstance(self.validation_data, tuple)
        parts = self.validation_data if is_arrays else (self.validation_data,)
        options = {
            name: value
            for name, value in self._validation_options.items()
            if value and (is_arrays or name != "batch_size")  # batches have their own size
        }
        metrics = model.evaluate(**dict(zip(_PARTS, parts, strict=False)), verbose=0, return_dict=True, **options)
        return {name: float(value) for name, value in metrics.items()}

    def steps_per_epoch(self) -> int | None:
        """Returns the number of training steps in an epoch; None if it is unknown."""
        if self.options.get("steps_per_epoch"):
            return self.options["steps_per_epoch"]
        count = self._source.num_batches(self.options.get("batch_size") or 32)
        return None if count is None or count == math.inf else int(count)

    def first(self, count: int) -> tuple[Any, Any]:
        """Returns the first inputs and targets, as structures of arrays; targets may be None."""
        is_arrays = isinstance(self._source, Arrays)
        elements = self._source.elements(count)
        if is_arrays and self.y is None:
            elements = ((inputs,) for inputs in elements)
        parts = next(regrouped((each if isinstance(each, tuple) else (each,) for each in elements), count), ())
        return (*parts, None, None)[:2]


def _check_labels(name, labels, count, graph, loss):
    """Checks the labels, if any, of a sparse cross-entropy over one output of a known shape."""
    *places, classes = graph.tensors[graph.output_names[0]].shape[1:]
    if len(graph.output_names) == 1 and None not in places and _is_sparse(loss):
        for array in leaves(labels):
            check_class_indices(name, array, (count, *places), classes)


def _is_sparse(loss):
    name = loss if isinstance(loss, str) else getattr(loss, "__name__", type(loss).__name__)
    return name.replace("_", "").lower() == "sparsecategoricalcrossentropy"
