"""Bit Fusion, a systolic array of units that fuse to the bits of their operands."""

import dataclasses
from collections.abc import Sequence
from typing import ClassVar

from tfmp.graph import LayerShape
from tfmp.simulator.bit_fusion.bit_fusion_array import BitFusionArray
from tfmp.simulator.bit_fusion.schedule import best_schedules
from tfmp.simulator.convolution import encode
from tfmp.simulator.layer_cost import Execution, LayerCost


@dataclasses.dataclass(frozen=True)
class BitFusion(BitFusionArray):
    """Prices a layer by its best tiling and loop order on a systolic array of bit-composable units.

    Arguments and errors are those of `BitFusionArray`. In `layer_costs`: if no tiling fits the buffers.

    Example:
        >>> hardware = Hardware.from_preset("bit_fusion").resize(input_lanes=32, weight_buffer_bytes=131072)

    Reference: Sharma et al., Bit Fusion, 2018, https://arxiv.org/abs/1712.01507
    """

    dataflow: ClassVar[str] = "bit_fusion"

    def layer_costs(
        self, shape: LayerShape, bits: Sequence[tuple[int, int]], execution: Execution
    ) -> Sequence[LayerCost]:
        return best_schedules(encode(shape, execution.depthwise), bits, self, execution)
