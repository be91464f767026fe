"""`tfmp.inspect`: what is in a model or a file."""

import os

from tfmp.annotations import KerasModel
from tfmp.inspection.inspect_model import inspect_model
from tfmp.quantizers import QuantizerLike
from tfmp.reports import ModelReport, TFLiteFile
from tfmp.tflite.file_contents import file_contents
from tfmp.tflite.interpreter import Interpreter
from tfmp.transform.edits.layer_plan import LayerSelection


def inspect(
    model: KerasModel | str | os.PathLike[str],
    *,
    quantizer: QuantizerLike | tuple[QuantizerLike, QuantizerLike] = "lsq",
    layers: LayerSelection = None,
    skip: LayerSelection = None,
    first_and_last: str = "int8",
) -> ModelReport | TFLiteFile:
    """Lists the layers of a model with what `tfmp.relax` would do to each, and why; or what is in an exported file.

    For a relaxed or fixed model the list shows the bits that its layers have.

    Args:
        model: A built Sequential or functional Keras model, or the path of a TFLite file that tfmp wrote.
        quantizer: As in `tfmp.relax`, like the arguments below; for models.
        layers: The layers to search.
        skip: The layers not to search.
        first_and_last: What becomes of the first and the last layers.

    Returns:
        A `ModelReport`, or a `TFLiteFile`: name, size, mode, inputs and outputs, layers with bits, containers and
        bytes; `print` it.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the model is unbuilt or a subclass, a name matches no layer, or the file is truncated, no TFLite
            file, or not written by tfmp.

    Example:
        >>> print(tfmp.inspect("model.tflite"))
    """
    if isinstance(model, str | os.PathLike):
        return file_contents(Interpreter(model), model)
    return inspect_model(model, quantizer=quantizer, layers=layers, skip=skip, first_and_last=first_and_last)
