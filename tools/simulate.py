r"""Prints cycles, memory accesses and energy of a network on an accelerator, layer by layer.

    python tools/simulate.py tools/workloads/resnet50.json --uniform 8,8
    python tools/simulate.py tools/workloads/mobilenet_v1.json --uniform 8,8 --batch 1 --depthwise dense
    python tools/simulate.py model.keras --assignment assignment.json --format csv --output energy.csv

The network is a JSON workload, described at `tfmp.simulator.read_workload`, or a `.keras` file; a model that holds
quantized layers needs neither --assignment nor --uniform.
"""

import sys

from absl import app, flags

from tfmp.simulator import Hardware, read_workload, simulate
from tfmp.types import BitAssignment, LayerShape, NetworkReport

_UNIFORM = flags.DEFINE_list("uniform", None, "Weight and activation bits, W,A, of layers not in --assignment.")
_ASSIGNMENT = flags.DEFINE_string("assignment", None, "JSON file of a BitAssignment.")
_HARDWARE = flags.DEFINE_string("hardware", "bit_fusion", "Name of a preset, or a JSON file that describes hardware.")
_BATCH = flags.DEFINE_integer("batch", 16, "Samples that run together.")
_OBJECTIVE = flags.DEFINE_string("objective", "latency", "What schedules minimize first: latency or energy.")
_DEPTHWISE = flags.DEFINE_string("depthwise", "single_channel", "single_channel, dense or per_group.")
_FORMAT = flags.DEFINE_enum("format", "table", ["table", "json", "csv"], "How to print the report.")
_OUTPUT = flags.DEFINE_string("output", None, "File to write instead of printing, as --format json or csv.")
_OVERWRITE = flags.DEFINE_bool("overwrite", False, "Replace --output if it exists.")


def main(argv: list[str]) -> None:
    """Simulates the network that the only argument names."""
    if len(argv) != 2:
        raise app.UsageError("Expected one argument, a .json workload or a .keras file.")
    if _OUTPUT.value and _FORMAT.value == "table":
        raise app.UsageError("--output needs --format json or csv.")
    try:
        report = _simulate(argv[1])
        if _FORMAT.value == "table":
            print(report)
            return
        write = report.to_json if _FORMAT.value == "json" else report.to_csv
        text = write(_OUTPUT.value, overwrite=_OVERWRITE.value)
        if not _OUTPUT.value:
            print(text, end="")
    except (OSError, TypeError, ValueError) as error:
        sys.exit(f"simulate: {error}")


def _simulate(path: str) -> NetworkReport:
    hardware = Hardware.from_json if _HARDWARE.value.endswith(".json") else Hardware.from_preset
    options = {
        "hardware": hardware(_HARDWARE.value),
        "batch": _BATCH.value,
        "objective": _OBJECTIVE.value,
        "depthwise": _DEPTHWISE.value,
    }
    uniform = _uniform_bits()
    assignment = BitAssignment.from_json(_ASSIGNMENT.value) if _ASSIGNMENT.value else None
    if path.endswith(".keras"):
        import tfmp  # loads Keras, which a workload does not need

        if uniform and assignment:
            raise ValueError("Give a model --uniform or --assignment, not both.")
        return tfmp.simulate(tfmp.load_model(path), assignment=assignment or uniform, **options)
    layers = read_workload(path)
    names = {layer.name for layer in layers if isinstance(layer, LayerShape)}
    bits = dict.fromkeys(names, uniform) if uniform else {}
    if not uniform and assignment is None:
        raise ValueError("A workload has no bits of its own: give --uniform W,A or --assignment FILE.")
    return simulate(layers, bits | dict(assignment.bits if assignment else {}), **options)


def _uniform_bits() -> tuple[int, int] | None:
    if _UNIFORM.value is None:
        return None
    try:
        weight_bits, activation_bits = (int(bits) for bits in _UNIFORM.value)
    except ValueError as error:
        raise ValueError(f"--uniform must be two integers W,A. Received: {','.join(_UNIFORM.value)}") from error
    return weight_bits, activation_bits


if __name__ == "__main__":
    app.run(main)
