"""The shape of one layer that multiplies and accumulates."""

import dataclasses
import math

from tfmp.checks import check_choice, check_flag, check_integer, check_integers, check_text

KINDS = ("conv2d", "depthwise_conv2d", "conv2d_transpose", "conv1d", "dense")


@dataclasses.dataclass(frozen=True)
class LayerShape:
    """The shape of a layer with a kernel, from which costs compute prices.

    Args:
        name: Name of the layer in the user's model.
        kind: `"conv2d"`, `"depthwise_conv2d"`, `"conv2d_transpose"`, `"conv1d"` or `"dense"`.
        kernel_size: Height and width of the kernel. A `conv1d` of size k is `(1, k)`, a `dense` layer `(1, 1)`.
        strides: Vertical and horizontal step between the windows that are read; for a `conv2d_transpose`, between those
            that are written.
        in_channels: Channels of the input, over all groups.
        out_channels: Channels of the output, over all groups.
        groups: Number of groups; equal to `in_channels` for a depthwise convolution.
        output_size: Height and width of the output. For a `dense` layer the number of positions it is applied to,
            `(1, 1)` unless its input has more than two dimensions.
        reads_network_input: True if the layer reads an input of the network.
        input_size: Height and width of the input, required for a `conv2d_transpose`. For other kinds it may be None, if
            `num_inputs` is not needed. Equal to `output_size` for a `dense` layer.

    Raises:
        ValueError: If `kind` is unknown, a number is not a positive integer, or channels do not divide by `groups`.

    Example:
        >>> LayerShape("conv1", "conv2d", kernel_size=(3, 3), in_channels=16, out_channels=32, output_size=(8, 8)).macs
        294912
    """

    name: str
    kind: str
    kernel_size: tuple[int, int] = (1, 1)
    strides: tuple[int, int] = (1, 1)
    in_channels: int = 1
    out_channels: int = 1
    groups: int = 1
    output_size: tuple[int, int] = (1, 1)
    reads_network_input: bool = False
    input_size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        check_text("name", self.name)
        where = f"Layer `{self.name}`"
        check_choice("kind", self.kind, KINDS, where=where)
        check_flag("reads_network_input", self.reads_network_input, where=where)
        if self.kind == "conv2d_transpose" and self.input_size is None:
            raise ValueError(f"Layer `{self.name}`: a conv2d_transpose needs `input_size`. Received: None")
        if self.kind == "dense" and self.input_size is None:
            object.__setattr__(self, "input_size", self.output_size)
        for field in ("kernel_size", "strides", "output_size", *(() if self.input_size is None else ("input_size",))):
            hint = "Give height and width"
            pair = check_integers(field, getattr(self, field), count=2, at_least=1, hint=hint, where=where)
            object.__setattr__(self, field, pair)
        for field in ("in_channels", "out_channels", "groups"):
            object.__setattr__(self, field, check_integer(field, getattr(self, field), at_least=1, where=where))
        for field in ("in_channels", "out_channels"):
            if getattr(self, field) % self.groups:
                raise ValueError(
                    f"Layer `{self.name}`: `{field}` must be divisible by `groups`. "
                    f"Received: {getattr(self, field)} and {self.groups}"
                )

    @property
    def num_weights(self) -> int:
        """Number of kernel entries, without the bias."""
        return math.prod(self.kernel_size) * (self.in_channels // self.groups) * self.out_channels

    @property
    def num_inputs(self) -> int:
        """Number of input values of one sample.

        Raises:
            ValueError: If `input_size` is None.
        """
        if self.input_size is None:
            raise ValueError(f"Layer `{self.name}`: `input_size` is not known. Give its height and width.")
        return math.prod(self.input_size) * self.in_channels

    @property
    def num_outputs(self) -> int:
        """Number of output values of one sample."""
        return math.prod(self.output_size) * self.out_channels

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one sample: |f| w h / s**2 in EdMIPS, eq. 8, for grouped kernels too.

        A transposed convolution multiplies every input value by the whole kernel.
        """
        if self.kind == "conv2d_transpose":
            return self.num_weights * (self.num_inputs // self.in_channels)
        return self.num_weights * math.prod(self.output_size)
