"""The data that trials train and are judged on."""

import hashlib
import math

import numpy as np
import tensorflow as tf

from tfmp.data.batches import regrouped
from tfmp.data.source import Arrays, as_dataset, source_of

_COMPARED = 64  # samples
_PARTS = ("x", "y", "sample_weight")  # of validation data, in the order of `fit`
_OWN = ("epochs", "initial_epoch", "validation_split", "validation_freq")


class FitData:
    """What `search` was given for `fit`.

    Args:
        x: Inputs; or batches of inputs and targets: a `tf.data.Dataset`, a `PyDataset` or a function that returns an
            iterator of them.
        y: Targets, for inputs that are arrays.
        validation_data: What decides about a trial: a tuple as `fit` takes it, or batches.
        **options: More arguments of `fit`, such as `batch_size`.

    Raises:
        TypeError: If the data can be read once only, or there are none.
        ValueError: If there are no validation data, or none that end, or an option is the tuner's own.
    """

    def __init__(self, x=None, y=None, *, validation_data=None, **options):
        own = [name for name in options if name in _OWN]
        if own:
            raise ValueError(
                f"`{own[0]}` is no argument of a tuner's `search`: give the epochs to `tfmp.tuner.Training`, and what "
                "to judge trials by as `validation_data`."
            )
        if validation_data is None:
            raise ValueError("`search` needs `validation_data`, by which trials are judged. Received: None")
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
            raise ValueError("`validation_data` never end. Give `validation_steps`, or data that are not repeated.")

    def identity(self):
        """What two equal data share, in JSON, as far as they are arrays: shapes, types and the first samples."""
        parts = {"training": (self.x, self.y), "validation": self.validation_data}
        return {
            name: [_described(a) for a in tf.nest.flatten(part) if isinstance(a, np.ndarray)]
            for name, part in parts.items()
        }

    def fit_arguments(self):
        """Keyword arguments of `fit`."""
        return {"x": self.x, **({} if self.y is None else {"y": self.y}), **self.options}

    def evaluate(self, model) -> dict[str, float]:
        """Loss and metrics of a compiled model on the validation data."""
        is_arrays = isinstance(self.validation_data, tuple)
        parts = self.validation_data if is_arrays else (self.validation_data,)
        options = {
            name: value
            for name, value in self._validation_options.items()
            if value and (is_arrays or name != "batch_size")  # batches have their size
        }
        found = model.evaluate(**dict(zip(_PARTS, parts, strict=False)), verbose=0, return_dict=True, **options)
        return {name: float(value) for name, value in found.items()}

    def steps_per_epoch(self):
        """Number of training steps in an epoch; None if a data set does not know."""
        if self.options.get("steps_per_epoch"):
            return self.options["steps_per_epoch"]
        count = self._source.num_batches(self.options.get("batch_size") or 32)
        return None if count == math.inf else count

    def first(self, count):
        """The first inputs and targets, as arrays in their structures; targets are None if there are none."""
        is_arrays = isinstance(self._source, Arrays)
        elements = self._source.elements(count)
        if is_arrays and self.y is None:
            elements = ((inputs,) for inputs in elements)
        parts = next(regrouped((each if isinstance(each, tuple) else (each,) for each in elements), count), ())
        return (*parts, None, None)[:2]


def _described(array):
    digest = hashlib.sha256(np.ascontiguousarray(array[:_COMPARED]).tobytes()).hexdigest()
    return f"{array.dtype} {list(array.shape)} {digest[:16]}"
