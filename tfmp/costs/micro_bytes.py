"""Cost `micro_bytes`: bytes of the file for TensorFlow Lite for Microcontrollers."""

from tfmp.costs.tflite_bytes import TFLiteBytes
from tfmp.graph.targets import MICRO


class MicroBytes(TFLiteBytes):
    """Size of the file that `tfmp.export_tflite(target="micro")` writes: the flash memory that a model takes.

    The program that runs it takes more.

    Args:
        mode: That of the export, `"small"` or `"fast"`.

    Raises:
        ValueError: In `overhead`, if the runtime lacks an operation of the network.

    Example:
        >>> budget = tfmp.Budget("micro_bytes", limit=256 * 1024)
    """

    name = "micro_bytes"
    file_target = MICRO
