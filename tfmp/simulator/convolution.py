"""A layer as the convolution that the systolic array runs."""

import dataclasses

from tfmp.checks import check_choice
from tfmp.graph import LayerShape

DEPTHWISE_ENCODINGS = ("single_channel", "dense", "per_group")


@dataclasses.dataclass(frozen=True)
class Convolution:
    """A convolution without groups, and how often it runs: the only operation of the array.

    Args:
        kernel_size: Height and width of the kernel.
        strides: Height and width of the step between outputs.
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        output_size: Height and width of the output.
        im2col: True if the array reads unfolded patches: kernel positions and input channels in one dimension.
        repeats: Number of such convolutions in the layer.
    """

    kernel_size: tuple[int, int]
    strides: tuple[int, int]
    in_channels: int
    out_channels: int
    output_size: tuple[int, int]
    im2col: bool = False
    repeats: int = 1

    @property
    def macs(self) -> int:
        """Multiply-accumulates for one sample, all repeats."""
        (kernel_height, kernel_width), (height, width) = self.kernel_size, self.output_size
        taps = kernel_height * kernel_width
        return taps * self.in_channels * self.out_channels * height * width * self.repeats


def encode(shape: LayerShape, depthwise: str = "single_channel") -> Convolution:
    """Returns a layer as a `Convolution`.

    A dense layer is a 1 x 1 convolution; a grouped convolution is `groups` times the convolution of one group. The
    array has no depthwise mode. For C channels (times a multiplier m), `depthwise` selects

    - `"single_channel"`: one convolution of 1 -> C m channels, with the right number of products and the input traffic
      of one channel;
    - `"dense"`: one convolution of C -> C m channels, C times the products;
    - `"per_group"`: C convolutions of 1 -> m channels.

    A transposed convolution is a convolution of its input with zeros inserted, which the array multiplies like other
    values. A convolution that reads an input of the network is run on unfolded patches (im2col).

    Raises:
        ValueError: If `depthwise` is unknown, or a depthwise layer does not have one group per input channel.
    """
    check_encoding(depthwise)
    is_depthwise = shape.kind == "depthwise_conv2d"
    if is_depthwise and shape.groups != shape.in_channels:
        raise ValueError(
            f"Layer `{shape.name}`: a depthwise convolution has as many groups as input channels, "
            f"{shape.in_channels}. Received: {shape.groups}"
        )
    repeats = shape.groups
    if is_depthwise and depthwise != "per_group":
        repeats = 1
    in_channels = shape.in_channels // shape.groups
    if is_depthwise and depthwise == "dense":
        in_channels = shape.in_channels
    return Convolution(
        kernel_size=shape.kernel_size,
        strides=(1, 1) if shape.kind == "conv2d_transpose" else shape.strides,
        in_channels=in_channels,
        out_channels=shape.out_channels // repeats,
        output_size=shape.output_size,
        im2col=shape.reads_network_input and shape.kind != "dense",
        repeats=repeats,
    )


def check_encoding(depthwise: str) -> None:
    """Raises a `ValueError` for an unknown encoding of depthwise layers."""
    check_choice("depthwise", depthwise, DEPTHWISE_ENCODINGS)
