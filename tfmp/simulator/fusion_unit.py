"""Throughput of one fusion unit and the bit-widths that it supports."""

from tfmp.checks import check_integer
from tfmp.simulator.hardware import Hardware


def fusion_factor(weight_bits: int, activation_bits: int, hardware: Hardware) -> int:
    """Returns the number of products that one fusion unit computes in a cycle.

    pf = (pmax // max(activation_bits, pmin)) * (pmax // max(weight_bits, pmin))

    With pmax = 8 and pmin = 2, an operand of at most 2 bits contributes 4, one of 3 or 4 bits 2, a wider one 1.
    """
    per_weight = hardware.max_bits // max(weight_bits, hardware.min_bits)
    per_activation = hardware.max_bits // max(activation_bits, hardware.min_bits)
    return per_weight * per_activation


def check_bits(weight_bits: int, activation_bits: int, hardware: Hardware, layer_name: str) -> None:
    """Checks that the array computes with these widths.

    Raises:
        ValueError: If a width is not an integer from 1 to `hardware.max_bits`.
    """
    for operand, bits in (("weight_bits", weight_bits), ("activation_bits", activation_bits)):
        hint = f"Choose as many bits as operands of `{hardware.name}` have, or hardware with more `max_bits`"
        where = f"Layer `{layer_name}`"
        check_integer(operand, bits, at_least=1, at_most=hardware.max_bits, hint=hint, where=where)
