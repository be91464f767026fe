"""How a TFLite file compares with the model that it was written from."""

import dataclasses
from collections.abc import Sequence


@dataclasses.dataclass(frozen=True)
class OperatorAgreement:
    """One operator, given the file's own input codes.

    Args:
        name: Name of the tensor that it writes.
        layer: Layer of the user's model that it computes, empty if none.
        kind: What it computes.
        equal_share: Share of output codes that are equal, 0 to 1.
        largest_difference: Of two output codes.
    """

    name: str
    layer: str
    kind: str
    equal_share: float
    largest_difference: int


@dataclasses.dataclass(frozen=True)
class TFLiteReport:
    """What an export wrote, and how its results compare with the folded model's.

    Args:
        path: The file.
        size_bytes: Its size.
        mode: How weights are stored.
        bits: Layer name to `(weight_bits, activation_bits)`.
        operators: Agreement per operator; empty if the file was not verified.
        equal_share: Share of equal output values end to end, None if not verified.
        largest_difference: Largest difference of an output value end to end, in units of the output.
        top1_agreement: Share of samples whose largest output is the same.
        outside_xnnpack: `(kind, tensor)` of the operators that the file's runtime gives to slower kernels.
    """

    path: str
    size_bytes: int
    mode: str
    bits: dict[str, tuple[int, int]]
    operators: Sequence[OperatorAgreement] = ()
    equal_share: float | None = None
    largest_difference: float | None = None
    top1_agreement: float | None = None
    outside_xnnpack: Sequence[tuple[str, str]] = ()

    def __str__(self):
        lines = [f"{self.path}: {self.size_bytes:,} bytes, mode {self.mode}"]
        if self.equal_share is None:
            return lines[0] + ", not verified"
        width = max(len(operator.name) for operator in self.operators)
        lines += [
            f"  {operator.name:<{width}}  {operator.kind:<16}  {operator.equal_share:8.4%} equal, "
            f"at most {operator.largest_difference} apart"
            for operator in self.operators
        ]
        lines.append(
            f"  end to end: {self.equal_share:.4%} of the outputs equal, at most {self.largest_difference:g} apart, "
            f"top-1 agreement {self.top1_agreement:.4%}"
        )
        if self.outside_xnnpack:
            lines.append(
                "  not run by XNNPACK: " + ", ".join(f"{name} ({kind})" for kind, name in self.outside_xnnpack)
            )
        return "\n".join(lines)
