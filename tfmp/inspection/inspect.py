"""`tfmp.inspect`: reports the layers of a model, or the contents of a file."""

import dataclasses
import os
from collections.abc import Mapping

from tfmp.annotations import KerasModel
from tfmp.bindings.framework import framework_of
from tfmp.graph import Graph, Layer
from tfmp.lowering.open_lowering import with_stand_ins
from tfmp.lowering.weight_packing import MODES
from tfmp.operators.float_layer import float_reasons
from tfmp.operators.fold_error import FoldError
from tfmp.quantizers import QuantizerLike
from tfmp.reports import ModelReport, ModelRow, TFLiteFile
from tfmp.search.search_settings import SearchSettings
from tfmp.tflite.file_contents import file_contents
from tfmp.tflite.unloaded_file import inspected_file
from tfmp.transform.dry_run import float_outlook, fold_errors, integer_outlook
from tfmp.transform.edits.layer_plan import EIGHT_BITS, FLOAT, FOLLOWS, LayerPlan, LayerSelection, plan
from tfmp.transform.edits.parts import with_parts
from tfmp.transform.edits.relaxed_graph import relaxed_graph


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
        ValueError: If the model is unbuilt or a subclass, a name matches no layer, or the file is truncated,
            damaged, not a TFLite file, or not from tfmp.

    Example:
        >>> print(tfmp.inspect("model.tflite"))
    """
    if isinstance(model, str | os.PathLike):
        return file_contents(inspected_file(model), model)
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
    graph = quantized = with_stand_ins(with_parts(framework_of(model).read(model, weights=False)))
    plans = plan(graph, layers=layers, skip=skip, first_and_last=first_and_last, quantizer=settings.quantizer_pair)
    if not any(layer.is_quantized for layer in graph.layers.values()):
        _, quantized = relaxed_graph(graph, plans, lambda name: settings, integer=first_and_last != "float")
    errors = fold_errors(quantized)
    floating = float_reasons(quantized) if first_and_last != "float" else {}
    rows = [_row(layer, plans[layer.name], errors.get(layer.name)) for layer in graph.in_order() if layer.name in plans]
    if not errors:
        rows = [_with_float_part(row, quantized, floating) for row in rows]
    exports = {**dict.fromkeys(MODES, integer_outlook(errors, list(floating))), "float": float_outlook(quantized)}
    return ModelReport(graph.name, tuple(rows), exports)


def _row(layer: Layer, entry: LayerPlan, error) -> ModelRow:
    status, reason = entry.status, entry.reason
    if layer.is_quantized and layer.shape is not None:
        status, reason = ("searching", "") if layer.is_searched else ("fixed", "")
    elif layer.is_quantized:
        status, reason = EIGHT_BITS, "it stores its input"
    elif error is not None and status == FOLLOWS:
        status, reason = FLOAT, error.clause
    elif error is not None and reason != error.clause:
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


def _with_float_part(row: ModelRow, graph: Graph, floating: Mapping[str, FoldError]) -> ModelRow:
    """Returns the row of a layer with what of it runs in floating point, itself or its activation."""
    part = next((name for name, error in floating.items() if error.layer == row.name), None)
    if part is None:
        return row
    reason = row.reason if row.status == FLOAT else "; ".join(filter(None, (row.reason, floating[part].clause)))
    float_bytes = graph.convert(graph.calls_of(part)[0], 1).constant_bytes
    return dataclasses.replace(row, reason=reason, float_bytes=float_bytes)
