"""Layers and a machine that several tests simulate."""

from tfmp.graph import LayerShape
from tfmp.simulator import Hardware

BIT_FUSION = Hardware.from_preset("bit_fusion")
CONV = LayerShape("conv", "conv2d", (3, 3), in_channels=16, out_channels=32, output_size=(4, 4))
DEPTHWISE = LayerShape("dw", "depthwise_conv2d", (3, 3), (1, 1), 24, 24, groups=24, output_size=(8, 8))
