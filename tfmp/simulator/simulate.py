"""Cycles, memory accesses and energy of layers and networks on a simulated machine."""

import copy
import dataclasses
import functools
import itertools
from collections.abc import Mapping, Sequence

import numpy as np

from tfmp.checks import check_choice, check_instance, check_integer
from tfmp.graph import LayerShape
from tfmp.reports.bit_sweep import BitSweep, SweepRow
from tfmp.reports.layer_report import LayerReport
from tfmp.reports.network_report import NetworkReport
from tfmp.simulator.hardware import Hardware
from tfmp.simulator.layer_cost import OBJECTIVES, Execution, LayerCost

QUANTITIES = ("energy_nj", "latency_cycles")


def simulate_layer(
    shape: LayerShape,
    weight_bits: int,
    activation_bits: int,
    hardware: Hardware | str = "bit_fusion",
    batch: int = 16,
    *,
    objective: str = "latency",
    depthwise: str | None = None,
) -> LayerReport:
    """Simulates one layer on a machine, with its best schedule there.

    Args:
        shape: The layer.
        weight_bits: Width of the weights, bits.
        activation_bits: Width of the layer's input, bits.
        hardware: The machine, or the name of a preset.
        batch: Samples that run together.
        objective: `"latency"`: the schedule of fewest cycles, then of least energy; `"energy"`: the other way round.
        depthwise: How a depthwise layer is encoded, one of the hardware's `depthwise_encodings`; None for the first.
            Bit Fusion has `"single_channel"`, `"dense"` and `"per_group"`.

    Returns:
        Numbers for the whole batch. Cycles and milliseconds are those of the simulated machine.

    Raises:
        ValueError: If bits are below 1 or wider than the hardware's operands, the layer does not fit, or an argument
            is not one of its choices; the message names the layer.

    Example:
        >>> shape = LayerShape("conv", "conv2d", (3, 3), in_channels=16, out_channels=32, output_size=(8, 8))
        >>> simulate_layer(shape, 4, 4, batch=1).compute_cycles
        576
    """
    check_instance("shape", shape, LayerShape, "a `LayerShape`")
    hardware, execution = _resolve(hardware, batch, objective, depthwise)
    (cost,) = _layer_costs(shape, ((weight_bits, activation_bits),), hardware, execution)
    is_encoded = shape.kind == "depthwise_conv2d" and len(hardware.depthwise_encodings) > 1
    return LayerReport(
        name=shape.name,
        kind=shape.kind,
        weight_bits=int(weight_bits),
        activation_bits=int(activation_bits),
        depthwise=execution.depthwise if is_encoded else None,
        macs=cost.macs,
        compute_cycles=cost.compute_cycles,
        stall_cycles=cost.stall_cycles,
        total_cycles=cost.total_cycles,
        reads_bits=dict(cost.reads_bits),
        writes_bits=dict(cost.writes_bits),
        energy_nj=dict(cost.energy_nj),
        latency_ms=cost.total_cycles / hardware.frequency_hz * 1e3,
        schedule=copy.deepcopy(dict(cost.schedule)),
    )


def simulate(
    layers: Sequence[LayerShape | tuple[str, str]],
    bits: Mapping[str, tuple[int, int]],
    hardware: Hardware | str = "bit_fusion",
    batch: int = 16,
    *,
    objective: str = "latency",
    depthwise: str | None = None,
) -> NetworkReport:
    """Simulates a network, layer after layer.

    Args:
        layers: The network in order: a `LayerShape` for each layer that the array runs, a pair (name, kind) for each
            that it does not (pooling, addition, normalization). A layer that is called twice stands there twice.
        bits: Layer name to (weight_bits, activation_bits).
        hardware: The machine, or the name of a preset.
        batch: Samples that run together.
        objective: As for `simulate_layer`.
        depthwise: As for `simulate_layer`.

    Returns:
        One row per entry of `layers`, and the total over those that are modelled.

    Raises:
        ValueError: As `simulate_layer`, and if `bits` lacks a layer or names one that is not there.
        TypeError: If `bits` is no mapping, or an entry of `layers` is neither a `LayerShape` nor a pair.
    """
    hardware, execution = _resolve(hardware, batch, objective, depthwise)
    check_instance("bits", bits, Mapping, "a mapping of layer names to (weight_bits, activation_bits)")
    check_instance("layers", layers, Sequence, "a list of LayerShape and of pairs (name, kind)")
    layers = tuple(layers)
    shapes = [layer for layer in layers if isinstance(layer, LayerShape)]
    missing = sorted({shape.name for shape in shapes} - set(bits))
    unknown = sorted(set(bits) - {shape.name for shape in shapes})
    if missing or unknown:
        raise ValueError(
            f"`bits` must name the modelled layers of the network and no others. Missing: {missing}. Unknown: {unknown}"
        )
    reports = []
    for layer in layers:
        if isinstance(layer, LayerShape):
            weight_bits, activation_bits = _pair(layer.name, bits[layer.name])
            report = simulate_layer(
                layer, weight_bits, activation_bits, hardware, batch, objective=objective, depthwise=depthwise
            )
        elif isinstance(layer, tuple) and len(layer) == 2 and all(isinstance(part, str) for part in layer):
            report = LayerReport(name=layer[0], kind=layer[1], modelled=False)
        else:
            check_instance("layers", layer, LayerShape, "a list of LayerShape and of pairs (name, kind)")
        reports.append(report)
    return NetworkReport(tuple(reports), hardware.name, execution.batch, objective, execution.depthwise)


def sweep(
    layers: Sequence[LayerShape | tuple[str, str]],
    bits: Sequence[tuple[int, int]],
    hardware: Sequence[Hardware | str],
    batch: int = 16,
    *,
    objective: str = "latency",
    depthwise: str | None = None,
) -> BitSweep:
    """Simulates a network at several uniform bits on several machines.

    Args:
        layers: As for `simulate`.
        bits: Pairs (weight_bits, activation_bits) that all layers have in turn.
        hardware: The machines, or the names of presets.
        batch: Samples that run together.
        objective: As for `simulate_layer`.
        depthwise: As for `simulate_layer`.

    Returns:
        One row for each machine and pair.

    Raises:
        ValueError: As `simulate`.
        TypeError: As `simulate`, and if `bits` or `hardware` is not a list.

    Example:
        >>> shape = LayerShape("conv", "conv2d", (3, 3), in_channels=16, out_channels=32, output_size=(8, 8))
        >>> [row.bits for row in sweep([shape], [(8, 8), (2, 2)], ["mpic"]).rows]
        ['W8A8', 'W2A2']
    """
    check_instance("bits", bits, (list, tuple), "a list of pairs (weight_bits, activation_bits)")
    check_instance("hardware", hardware, (list, tuple), "a list of hardware")
    names = {layer.name for layer in layers if isinstance(layer, LayerShape)}
    rows = [
        SweepRow.of(
            simulate(layers, dict.fromkeys(names, pair), machine, batch, objective=objective, depthwise=depthwise),
            *pair,
        )
        for machine in hardware
        for pair in bits
    ]
    return BitSweep(tuple(rows), int(batch))


def cost_table(
    shape: LayerShape,
    weight_bits: Sequence[int],
    activation_bits: Sequence[int],
    hardware: Hardware | str = "bit_fusion",
    quantity: str = "energy_nj",
    *,
    batch: int = 16,
    objective: str = "latency",
    depthwise: str | None = None,
) -> np.ndarray:
    """Simulates one layer at every pair of bits.

    Args:
        shape: The layer.
        weight_bits: Candidate widths of the weights, bits.
        activation_bits: Candidate widths of the input, bits.
        hardware: The machine, or the name of a preset.
        quantity: `"energy_nj"` or `"latency_cycles"`.
        batch: Samples that run together.
        objective: As for `simulate_layer`.
        depthwise: As for `simulate_layer`.

    Returns:
        `[len(weight_bits), len(activation_bits)]` float64 array, nJ or cycles for the whole batch.

    Raises:
        ValueError: As `simulate_layer`, and if `quantity` is unknown.

    Example:
        >>> shape = LayerShape("conv", "conv2d", (3, 3), in_channels=16, out_channels=32, output_size=(8, 8))
        >>> cost_table(shape, (2, 8), (2, 8), quantity="latency_cycles", batch=1).shape
        (2, 2)
    """
    hardware, execution = _resolve(hardware, batch, objective, depthwise)
    check_instance("shape", shape, LayerShape, "a `LayerShape`")
    check_choice("quantity", quantity, QUANTITIES)
    for name, bits in (("weight_bits", weight_bits), ("activation_bits", activation_bits)):
        check_instance(name, bits, Sequence, "a list of bits")
    pairs = tuple(itertools.product(weight_bits, activation_bits))
    costs = _layer_costs(shape, pairs, hardware, execution)
    values = [cost.energy_nj["total"] if quantity == "energy_nj" else cost.total_cycles for cost in costs]
    return np.array(values, np.float64).reshape(len(weight_bits), len(activation_bits))


def _layer_costs(
    shape: LayerShape, bits: Sequence[tuple[int, int]], hardware: Hardware, execution: Execution
) -> Sequence[LayerCost]:
    for pair in bits:
        hardware.check_bits(*pair, shape.name)
    pairs = tuple((int(weight_bits), int(activation_bits)) for weight_bits, activation_bits in bits)
    if not pairs:
        return ()
    try:
        # Layers of one shape are computed once, whatever their names.
        return _cached_layer_costs(dataclasses.replace(shape, name="layer"), pairs, hardware, execution)
    except ValueError as error:
        raise ValueError(f"Layer `{shape.name}`: {error}") from error


@functools.lru_cache(maxsize=2048)
def _cached_layer_costs(
    shape: LayerShape, bits: tuple[tuple[int, int], ...], hardware: Hardware, execution: Execution
) -> Sequence[LayerCost]:
    return tuple(hardware.layer_costs(shape, bits, execution))


def _resolve(hardware: Hardware | str, batch: int, objective: str, depthwise: str | None) -> tuple[Hardware, Execution]:
    """Returns the hardware, and the other arguments once they are checked."""
    batch = check_integer("batch", batch, at_least=1)
    check_choice("objective", objective, OBJECTIVES)
    hardware = Hardware.of(hardware)
    return hardware, Execution(batch, objective, check_encoding(depthwise, hardware))


def check_encoding(depthwise: str | None, hardware: Hardware) -> str:
    """Returns the encoding of depthwise layers: the hardware's default for None.

    Raises:
        ValueError: If the hardware does not have it.
    """
    if depthwise is None:
        return hardware.depthwise_encodings[0]
    return check_choice("depthwise", depthwise, hardware.depthwise_encodings, where=hardware.label)


def _pair(layer_name: str, pair: tuple[int, int]) -> tuple[int, int]:
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise ValueError(
            f"Layer `{layer_name}`: `bits` must give a pair (weight_bits, activation_bits). Received: {pair!r}"
        )
    weight_bits, activation_bits = pair
    return weight_bits, activation_bits
