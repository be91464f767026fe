"""`tfmp.inspect`: reports the layers of a model, or the contents of a file."""

import os

from tfmp.annotations import KerasModel
from tfmp.bindings.framework import framework_of
from tfmp.graph import Layer
from tfmp.lowering.open_lowering import with_stand_ins
from tfmp.lowering.weight_packing import MODES
from tfmp.quantizers import QuantizerLike
from tfmp.reports import ModelReport, ModelRow, TFLiteFile
from tfmp.search.search_settings import SearchSettings
from tfmp.tflite.file_contents import file_contents
from tfmp.tflite.open_file import open_file
from tfmp.transform.dry_run import float_outlook, fold_errors, integer_outlook
from tfmp.transform.edits.layer_plan import EIGHT_BITS, FLOAT, FOLLOWS, LayerPlan, LayerSelection, plan
from tfmp.transform.edits.relaxed_graph import relaxed_graph
from tfmp.transform.edits.split_layers import with_split_separables


def inspect(
    model: KerasModel | str | os.PathLike[str],
    *,
    quantizer: QuantizerLike | tuple[QuantizerLike, QuantizerLike] = "lsq",
    layers: LayerSelection = None,
    skip: LayerSelection = None,
    first_and_last: str = "int8",
) -> ModelReport | TFLiteFile:
    """Lists the layers of a model and what `tfmp.relax` would do with each, and why; or the contents of a TFLite file.

    For a relaxed or fixed model, the list shows the bits of its layers.

    Args:
        model: A built Sequential or functional Keras model, or the path of a TFLite file of tfmp.
        quantizer: As in `tfmp.relax`, like the arguments below; only for models.
        layers: The layers to search.
        skip: The layers not to search.
        first_and_last: Precision of the first and the last layers.

    Returns:
        A `ModelReport`, or a `TFLiteFile`: name, size, mode, inputs and outputs, layers with bits, containers and
        bytes; `print` it.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the model is unbuilt or a subclass, a name matches no layer, or the file is truncated, not a
            TFLite file, or not from tfmp.

    Example:
        >>> print(tfmp.inspect("model.tflite"))
    """
    if isinstance(model, str | os.PathLike):
        return file_contents(open_file(model), model)
    return inspect_model(model, quantizer=quantizer, layers=layers, skip=skip, first_and_last=first_and_last)


_BITS = 4  # bits of every quantizer, instead of candidates


def inspect_model(
    model: KerasModel,
    *,
    quantizer: QuantizerLike | tuple[QuantizerLike, QuantizerLike] = "lsq",
    layers: LayerSelection = None,
    skip: LayerSelection = None,
    first_and_last: str = "int8",
) -> ModelReport:
    """Lists the layers of a Keras model; see `tfmp.inspect`."""
    settings = SearchSettings(weight_bits=_BITS, activation_bits=_BITS, quantizer=quantizer, signed_input=None)
    graph = quantized = with_stand_ins(with_split_separables(framework_of(model).read(model, weights=False)))
    plans = plan(graph, layers=layers, skip=skip, first_and_last=first_and_last, quantizer=settings.quantizer_pair)
    if not any(layer.is_quantized for layer in graph.layers.values()):
        _, quantized = relaxed_graph(graph, plans, lambda name: settings, integer=first_and_last != "float")
    errors = fold_errors(quantized)
    rows = [_row(layer, plans[layer.name], errors.get(layer.name)) for layer in graph.in_order() if layer.name in plans]
    exports = {**dict.fromkeys(MODES, integer_outlook(errors)), "float": float_outlook(quantized)}
    return ModelReport(graph.name, tuple(rows), exports)


def _row(layer: Layer, entry: LayerPlan, error) -> ModelRow:
    status, reason = entry.status, entry.reason
    if layer.is_quantized and layer.shape is not None:
        status, reason = ("searching", "") if layer.is_searched else ("fixed", "")
    elif layer.is_quantized:
        status, reason = EIGHT_BITS, "it stores its input"
    elif error is not None and status == FOLLOWS:
        status, reason = FLOAT, error.clause
    elif error is not None and status != FLOAT:
        reason = "; ".join(filter(None, (reason, error.clause)))
    return ModelRow(
        layer.name,
        layer.kind,
        status,
        reason,
        layer.shape.macs if layer.shape else 0,
        layer.num_parameters,
        layer.weight.bits,
        layer.activation.bits,
        MODES if error is not None else (),
    )
