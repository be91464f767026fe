"""What integer operations are written with: the protocol of sinks, and the tensors of a file."""

from tfmp.operators.writing.sink import UNFUSED, Options, Quantization, Sink
from tfmp.operators.writing.tensor_table import TensorTable

__all__ = ["UNFUSED", "Options", "Quantization", "Sink", "TensorTable"]
