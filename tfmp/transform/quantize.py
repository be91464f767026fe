"""`tfmp.quantize`: post-training quantization in one call."""

from collections.abc import Callable, Mapping
from typing import Any

from tfmp.annotations import KerasModel
from tfmp.bindings.framework import framework_of
from tfmp.checks import check_choice, check_flag, check_function, check_integers, is_integer, received
from tfmp.graph import BitAssignment
from tfmp.quantizers import QuantizerLike
from tfmp.search.search_settings import SearchSettings, check_bits, quantizer_pair
from tfmp.search.searched_cost import KEPT_QUANTIZERS
from tfmp.transform.calibration.familiar_data import is_familiar
from tfmp.transform.calibration.post_training import level_of, quantize_after_training
from tfmp.transform.candidate_checks import check_kernel, check_range, check_zero
from tfmp.transform.dry_run import check_integer_only
from tfmp.transform.edits.activation_quantizers import STORAGE_BITS
from tfmp.transform.edits.floating_point import in_floating_point
from tfmp.transform.edits.layer_plan import EIGHT_BITS, SEARCHED, plan
from tfmp.transform.edits.parts import with_parts
from tfmp.transform.edits.relaxed_graph import KEPT_SETTINGS, relaxed_graph
from tfmp.transform.model_checks import check_finite_weights
from tfmp.transform.reconstruction.reconstruction import Reconstruction


def quantize(
    model: KerasModel,
    bits: int | tuple[int, int] | BitAssignment | Mapping[str, tuple[int, int]] = 8,
    *,
    calibration: Any,
    post_training: str | Reconstruction = "moments",
    quantizer: QuantizerLike | tuple[QuantizerLike, QuantizerLike] = "lsq",
    loss: Callable[..., Any] | None = None,
    integer_only: bool = False,
    verbose: int = 0,
) -> KerasModel:
    """Quantizes a trained model without more training, for `tfmp.export_tflite`.

    Layers without given bits have 8 bits, and so do the tensors between layers.

    Args:
        model: A built Sequential or functional Keras model in floating point. It is not changed.
        bits: An integer or a pair (weight bits, activation bits) for every layer except the first and the last, which
            have 8 bits; or the bits of layers by name, a `BitAssignment` or a mapping to pairs.
        calibration: A few hundred inputs: an array, a structure of arrays, a `tf.data.Dataset`, .... With `loss`,
            (inputs, targets).
        post_training: What is fitted to the calibration data, each level after the one before:

            - `"ranges"`: the range of least squared error of every quantizer;
            - `"moments"`: means, variances and normalizations are corrected if this reduces the error on a quarter of
              the data, which is held out;
            - `"reconstruction"`: whether each weight is rounded down or up is learned, block by block, in a few
              minutes; it is kept if this reduces the error on the held-out data. A `tfmp.Reconstruction` has its
              settings.
        quantizer: Name of a quantizer family, or a pair of names (weights, activations), for tensors with fewer than 8
            bits. Kernels of 8 bits have one step per output channel, activations of 8 bits a range from the smallest to
            the largest value.
        loss: The error, a function of (targets, outputs) such as a loss object of Keras. Without it, the error is the
            divergence of the output from that in floating point.
        integer_only: True to refuse layers that would run in floating point, as in `tfmp.relax`.
        verbose: 1 prints what was tried, chosen and changed, and shows the progress of a reconstruction.

    Returns:
        A model of the same framework, not compiled.

    Raises:
        ValueError: If bits are out of range, a name is not a layer that can be quantized, the model is unbuilt, a
            subclass, already quantized or has no such layer, or data or weights are not finite.
        TypeError: If `model` is not a Keras model.

    Example:
        >>> fixed = tfmp.quantize(model, 8, calibration=x_train[:256])
        >>> tfmp.export_tflite(fixed, "model.tflite", verify=x_test[:256])
    """
    level = level_of(post_training)
    pair = quantizer_pair(quantizer)
    if loss is not None:
        check_function("loss", loss, "targets and outputs")
    check_choice("verbose", verbose, (0, 1))
    check_flag("integer_only", integer_only)
    framework = framework_of(model)
    graph = with_parts(framework.read(model))
    check_finite_weights(graph)
    if any(layer.is_quantized for layer in graph.in_order()):
        raise ValueError(
            f"`model` must be in floating point. Received: `{graph.name}`, which is relaxed or fixed. Give its bits to "
            "`tfmp.fix(..., post_training=True)`."
        )
    plans = plan(graph, first_and_last="search", quantizer=pair)
    quantizable = [name for name, entry in plans.items() if entry.status in (SEARCHED, EIGHT_BITS)]
    if not quantizable:
        raise ValueError(
            f"`model` must have a layer that can be quantized. Received: `{graph.name}` with "
            + "; ".join(f"{entry.name}: {entry.reason or entry.status}" for entry in plans.values())
        )
    chosen = _bits_by_layer(model, bits)
    unknown = [name for name in chosen if name not in quantizable]
    if unknown:
        raise ValueError(
            f"`bits` must name layers that can be quantized, of {', '.join(quantizable)}. Received: "
            f"{', '.join(unknown)}"
        )
    for name, pair_of in chosen.items():
        if plans[name].status == EIGHT_BITS and pair_of != (STORAGE_BITS, STORAGE_BITS):
            raise ValueError(f"`bits` of layer `{name}` must be (8, 8): {plans[name].reason}. Received: {pair_of}")
    settings = {name: _settings(*chosen[name], pair, plans[name].signed_input) for name in chosen}
    _, graph = relaxed_graph(graph, plans, lambda name: settings.get(name, KEPT_SETTINGS), integer=True)
    for layer in graph.in_order():
        for check in (check_kernel, check_range, check_zero):
            check(layer)
    if integer_only:
        check_integer_only(graph)
    fixed = framework.write(graph)
    familiar = is_familiar([model], calibration)
    floating = in_floating_point(graph)
    report = quantize_after_training(
        fixed, floating, calibration, level=level, loss=loss, reestimate=familiar, verbose=verbose
    )
    if verbose:
        print(report)
    return fixed


def _bits_by_layer(model: KerasModel, bits: Any) -> Mapping[str, tuple[int, int]]:
    if isinstance(bits, BitAssignment):
        return bits.bits
    if isinstance(bits, Mapping):
        return BitAssignment(bits).bits
    pair = (bits, bits) if is_integer(bits) else bits
    if not isinstance(pair, list | tuple):
        raise ValueError(
            "`bits` must be an integer, a pair (weight bits, activation bits), a `BitAssignment` or a mapping of layer "
            f"names to pairs. Received: {received(bits)}"
        )
    pair = check_integers("bits", pair, count=2, at_least=1, at_most=STORAGE_BITS)
    return {} if pair == (STORAGE_BITS, STORAGE_BITS) else BitAssignment.uniform(model, *pair).bits


def _settings(weight_bits, activation_bits, quantizer, signed_input):
    """Returns the settings of a layer with fixed bits."""
    weight, activation = (
        kept if bits == STORAGE_BITS else name
        for bits, name, kept in zip((weight_bits, activation_bits), quantizer, KEPT_QUANTIZERS, strict=True)
    )
    check_bits(weight_bits, "bits", weight, True)
    check_bits(activation_bits, "bits", activation, signed_input)
    return SearchSettings(
        weight_bits=weight_bits,
        activation_bits=activation_bits,
        quantizer=(weight, activation),
        signed_input=signed_input,
    )
