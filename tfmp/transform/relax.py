"""`tfmp.relax`: a model that searches its bits."""

import warnings
from collections.abc import Sequence
from typing import Any

from tfmp.annotations import KerasModel
from tfmp.bindings.framework import framework_of
from tfmp.checks import check_flag
from tfmp.operators.float_layer import float_layers
from tfmp.quantizers import QuantizerLike
from tfmp.search.search_settings import SearchSettings, check_bits
from tfmp.transform.calibration.calibrate import calibrate_ranges
from tfmp.transform.candidate_checks import check_kernel, check_range, check_zero
from tfmp.transform.dry_run import check_integer_only, fold_errors, in_words, integer_outlook
from tfmp.transform.edits.layer_plan import SEARCHED, LayerSelection, plan
from tfmp.transform.edits.parts import with_parts
from tfmp.transform.edits.relaxed_graph import relaxed_graph
from tfmp.transform.model_checks import check_finite_weights, check_rebuilt


def relax(
    model: KerasModel,
    *,
    weight_bits: Sequence[int] = (1, 2, 3, 4),
    activation_bits: Sequence[int] = (2, 3, 4),
    quantizer: QuantizerLike | tuple[QuantizerLike, QuantizerLike] = "lsq",
    calibration: Any = None,
    layers: LayerSelection = None,
    skip: LayerSelection = None,
    first_and_last: str = "int8",
    relaxation: str = "softmax",
    shared_range: bool = True,
    shared_weights: bool = True,
    coupled: bool = False,
    integer_only: bool = False,
    seed: int = 0,
) -> KerasModel:
    """Returns a copy of a model whose layers choose the bits of their weights and input during training.

    Layer names and weights are kept. A nested model stays nested and contains the quantizers of its layers, which have
    names like `backbone/conv1`. Frozen weights stay frozen, and their bits are searched.

    Layers without an integer form run in floating point: what they read from integer layers is quantized, and what
    integer layers read from them. `tfmp.inspect` lists them.

    Layers that are not searched have 8 bits, and so does every tensor that an addition, an average, an activation or
    several layers read: a layer named `<producer>_quantizer` quantizes it. Some layers are split: additions of more
    than two tensors become additions of two, the first named `<name>_part`; a separable convolution becomes
    `<name>_depthwise` and `<name>`; an activation that is not part of a kernel's operator becomes `<name>_activation`.

    Args:
        model: A built Sequential or functional Keras model. It is not changed.
        weight_bits: Candidates for every kernel.
        activation_bits: Candidates for every layer's input.
        quantizer: Name of a quantizer family, or a pair of names (weights, activations).
        calibration: A few hundred inputs from which ranges start: arrays, a `tf.data.Dataset`, a `PyDataset` or a
            function of batches, see docs/data.md. Omit it for an untrained model: ranges then start from the first
            training batch.
        layers: The layers to search: a name, a pattern such as `"block*"`, a function of a `tfmp.graph.Layer`, or a
            list of these. None searches all that can be searched.
        skip: The layers not to search, in the same form.
        first_and_last: Precision of the first and the last layer: `"int8"`, `"search"`, or `"float"` as in EdMIPS (only
            searched layers are then quantized, and the network has no integer form).
        relaxation: `"softmax"`, `"annealed"` or `"gumbel"`.
        shared_range: If True, the candidates of a tensor share one learned range.
        shared_weights: If True, the candidates of a layer quantize one kernel (EdMIPS, eq. 16); otherwise each has its
            own, which starts as a copy (eq. 15).
        coupled: If True, candidate i of the weights is paired with candidate i of the activations, in equal numbers,
            and each pair has a convolution.
        integer_only: True to refuse layers that would run in floating point.
        seed: Integer, for Gumbel noise.

    Returns:
        A model of the same framework, not compiled.

    Raises:
        ValueError: If bits are invalid or no file can store them, the model is unbuilt, a subclass or already
            quantized, a layer cannot be built from its configuration, a name matches no layer, calibration data or
            weights are not finite, no layer can be searched, or, with `integer_only`, a layer runs in floating point.

    Warns:
        UserWarning: If layers run in floating point, or the result cannot be exported in integers, unless
            `first_and_last` is `"float"`; the message names the layers and says what to do.

    Example:
        >>> search_model = tfmp.relax(model, calibration=x_train[:256])
    """
    settings = SearchSettings(
        weight_bits=weight_bits,
        activation_bits=activation_bits,
        quantizer=quantizer,
        signed_input=None,
        relaxation=relaxation,
        shared_range=shared_range,
        shared_weights=shared_weights,
        coupled=coupled,
        seed=seed,
    )
    pair = settings.quantizer_pair
    check_bits(weight_bits, "weight_bits", pair[0], True)  # None, which a layer takes, is no search
    check_bits(activation_bits, "activation_bits", pair[1], False)
    if check_flag("integer_only", integer_only) and first_and_last == "float":
        raise ValueError('`integer_only=True` needs `first_and_last="int8"` or `"search"`. Received: "float"')
    framework = framework_of(model)
    original = framework.read(model)
    graph = with_parts(original)
    check_finite_weights(graph)
    quantized = [layer.name for layer in graph.in_order() if layer.is_quantized]
    if quantized:
        raise ValueError(
            f"Model `{graph.name}` is quantized already, by its layers {', '.join(quantized)}. Relax the model in "
            "floating point; to continue with the result of a search, see `tfmp.fix`."
        )
    options: dict[str, Any] = {"layers": layers, "skip": skip, "quantizer": pair}
    plans = plan(graph, first_and_last=first_and_last, **options)
    if not _searched(plans):
        raise _nothing_to_search(graph, plans, _searched(plan(graph, first_and_last="search", **options)))
    integer = first_and_last != "float"
    float_graph, graph = relaxed_graph(graph, plans, lambda name: settings, integer=integer)
    for layer in graph.in_order():
        for check in (check_kernel, check_range, *((check_zero,) if integer else ())):
            check(layer)
    if integer_only:
        check_integer_only(graph)
    if integer:
        _warn_if_not_integer(graph)
    relaxed = framework.write(graph)
    check_rebuilt(framework, original, model, relaxed)
    if calibration is not None:
        calibrate_ranges(relaxed, framework.write(float_graph), calibration)
    return relaxed


def _searched(plans):
    return [entry.name for entry in plans.values() if entry.status == SEARCHED]


def _nothing_to_search(graph, plans, with_first_and_last):
    reasons = "; ".join(f"{entry.name}: {entry.reason or entry.status}" for entry in plans.values())
    way_out = (
        f' Give `first_and_last="search"` to search {", ".join(with_first_and_last)}.' if with_first_and_last else ""
    )
    return ValueError(f"Model `{graph.name}` has no layer whose bits can be searched. Its layers: {reasons}.{way_out}")


def _warn_if_not_integer(graph):
    floating = float_layers(graph)
    outlook = integer_outlook(fold_errors(graph), floating)
    if outlook.answer == "no":
        warnings.warn(
            f"Model `{graph.name}` can be searched, but not exported in integers: {outlook.reason}. {outlook.way_out} "
            "`tfmp.inspect` lists all layers.",
            stacklevel=3,
        )
    elif floating:
        warnings.warn(
            f"Model `{graph.name}` has layers without an integer form, which run in floating point: "
            f"{in_words(floating)}. `tfmp.inspect` says why; `integer_only=True` refuses them.",
            stacklevel=3,
        )
