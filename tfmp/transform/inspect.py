"""What the library can do with a model."""

from tfmp.bindings import binding
from tfmp.mixins.mixed_precision import quantizer_pair
from tfmp.transform.plan import LEFT, plan
from tfmp.transform.split_separables import with_split_separables
from tfmp.types import ModelReport, ModelRow


def inspect_model(model, *, quantizer="lsq", layers=None, skip=None, first_and_last="int8") -> ModelReport:
    """Lists the layers of a Keras model; see `tfmp.inspect`."""
    graph = with_split_separables(binding.of(model).read(model, weights=False))
    plans = plan(graph, layers=layers, skip=skip, first_and_last=first_and_last, quantizer=quantizer_pair(quantizer))
    rows = []
    for layer in graph.in_order():
        if layer.kind == "input":
            continue
        status, reason = plans[layer.name].status, plans[layer.name].reason
        if layer.is_quantized and layer.shape is not None:
            status, reason = ("searching", "") if layer.is_searched else ("fixed", "")
        elif layer.is_quantized:
            status, reason = LEFT, "it stores its input"
        rows.append(
            ModelRow(
                layer.name,
                layer.kind,
                status,
                reason,
                layer.shape.macs if layer.shape else 0,
                layer.num_parameters,
                layer.weight.bits,
                layer.activation.bits,
            )
        )
    return ModelReport(graph.name, tuple(rows))
