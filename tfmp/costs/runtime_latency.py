"""Cost `runtime_latency`: latency from measurements on the user's machine."""

import dataclasses
import os
from collections.abc import Sequence

import numpy as np

from tfmp.checks import check_instance
from tfmp.costs.cost import Cost
from tfmp.costs.runtime_table import RuntimeTable, network_key
from tfmp.graph import CodeFormat, Graph, LayerShape
from tfmp.graph.targets import LITERT, target_of
from tfmp.lowering.weight_packing import check_mode, weight_storage

_COMMAND = '`tfmp.measure_runtime(model, "latency.json")`, or `python tools/measure_runtime.py model.keras`'


@dataclasses.dataclass(frozen=True)
class RuntimeLatency(Cost):
    """Time of a batch in LiteRT, or in TensorFlow Lite for Microcontrollers, in us, as measured on one machine.

    The latency of a layer depends only on how its weights are stored: activations are 8-bit codes in every file. If a
    packed container is slower, as for most convolutions, the table shows it, and a budget chooses 8 bits.

    For a microcontroller, times of the interpreter on another machine are relative: they compare operators and
    encodings. Replace those of the file by what a profiler says on the board: cycles divided by its clock in MHz are
    us.

    Args:
        measurements: A `tfmp.costs.RuntimeTable`, or the path of one that `tfmp.measure_runtime` wrote.
        mode: Mode of the exported file. `"small"` packs weights; in `"fast"` all weights have 8 bits, and the choice of
            bits does not change the latency.
        target: The runtime of the file, as in `tfmp.measure_runtime`.

    Raises:
        ValueError: If there is no table, or the mode is unknown. In `table` and `overhead`: if a layer, or the network,
            was not measured, or a layer is in floating point.

    Example:
        >>> budget = tfmp.Budget(RuntimeLatency("latency.json"), like_uniform=(8, 8))
    """

    measurements: RuntimeTable | str | os.PathLike[str] | None = None
    _: dataclasses.KW_ONLY
    mode: str = "small"
    target: str = dataclasses.field(default=LITERT.name, metadata={"unrecorded_default": True})

    name = "runtime_latency"
    unit = "us"

    def __post_init__(self) -> None:
        check_mode(self.mode)
        target_of(self.target)
        if self.measurements is None:
            raise ValueError(
                f"The cost `{self.name}` is measured on your machine. Run {_COMMAND}, once, and give what it wrote: "
                '`tfmp.costs.RuntimeLatency("latency.json")` in place of the name.'
            )
        if not isinstance(self.measurements, RuntimeTable):
            object.__setattr__(self, "measurements", RuntimeTable.from_json(self.measurements))

    def table(
        self, shape: LayerShape, weight_formats: Sequence[CodeFormat], activation_formats: Sequence[CodeFormat]
    ) -> np.ndarray:
        if any(format.is_float for format in (*weight_formats, *activation_formats)):
            raise ValueError(
                f"Layer `{shape.name}` is in floating point, for which no latency was measured. Quantize it, or "
                "exclude it from the budget with `like_uniform`."
            )
        latencies = [self._latency_us(shape, format) for format in weight_formats]
        return np.repeat(np.array(latencies, np.float64)[:, None], len(activation_formats), axis=1)

    @property
    def _table(self) -> RuntimeTable:
        return check_instance("measurements", self.measurements, RuntimeTable, "a `RuntimeTable`")

    def _latency_us(self, shape: LayerShape, weight_format: CodeFormat) -> float:
        storage = weight_storage(
            shape,
            *weight_format.code_range,
            bits=weight_format.bits,
            mode=self.mode,
            target=target_of(self.target),
        )
        latency_us = self._table.latency_us(shape, storage.container_bits, storage.index_bits)
        if latency_us is None:
            stored = f"{storage.container_bits}-bit weights"
            if storage.index_bits is not None:
                stored = f"weights as {storage.index_bits}-bit indices"
            raise ValueError(
                f"Layer `{shape.name}` ({shape.kind}, kernel {shape.kernel_size}, {shape.in_channels} to "
                f"{shape.out_channels} channels, output {shape.output_size}) was not measured with {stored}. Run "
                f"{_COMMAND}, with this model, this target and the same file: it adds what is missing."
            )
        return latency_us

    def overhead(self, graph: Graph) -> float:
        overhead_us = self._table.overhead_us.get(network_key(graph))
        if overhead_us is None:
            raise ValueError(
                f"What network `{graph.name}` takes outside its layers was not measured. Run {_COMMAND}, with this "
                "model and the same file: it adds what is missing."
            )
        return overhead_us
