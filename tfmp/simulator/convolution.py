"""A layer as the convolution that the systolic array runs."""

import dataclasses

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
        input_values: Input values that an earlier layer wrote, for one sample and one repeat; 0 for a network's input.
    """

    kernel_size: tuple[int, int]
    strides: tuple[int, int]
    in_channels: int
    out_channels: int
    output_size: tuple[int, int]
    im2col: bool = False
    repeats: int = 1
    input_values: int = 0

    @property
    def macs(self) -> int:
        """Multiply-accumulates for one sample, all repeats."""
        (kernel_height, kernel_width), (height, width) = self.kernel_size, self.output_size
        taps = kernel_height * kernel_width
        return taps * self.in_channels * self.out_channels * height * width * self.repeats


def encode(shape: LayerShape, depthwise: str) -> Convolution:
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
        ValueError: If a depthwise layer does not have one group per input channel; the caller adds the layer's name.
    """
    is_depthwise = shape.kind == "depthwise_conv2d"
    if is_depthwise and shape.groups != shape.in_channels:
        raise ValueError(
            f"a depthwise convolution has as many groups as input channels, {shape.in_channels}. "
            f"Received: {shape.groups}"
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
        input_values=0 if shape.reads_network_input else _input_values(shape) // repeats,
    )


def _input_values(shape: LayerShape) -> int:
    """Returns the input values of one sample, padding included, as the array counts them."""
    if shape.kind == "conv2d_transpose":
        return shape.num_inputs
    height, width = (
        (size - 1) * stride + kernel
        for size, stride, kernel in zip(shape.output_size, shape.strides, shape.kernel_size, strict=True)
    )
    return height * width * shape.in_channels
