"""`tfmp simulate`."""

import argparse
import os

from tfmp.cli.argument_types import bit_pair, integer
from tfmp.cli.files import add_overwrite, add_trust, load_hardware, load_model_file
from tfmp.simulator.convolution import DEPTHWISE_ENCODINGS
from tfmp.simulator.layer_cost import OBJECTIVES

_MODEL_ENDINGS = (".keras", ".h5", ".hdf5")
DESCRIPTION = "Simulate cycles, memory accesses and energy of a network on an accelerator."
EXAMPLE = "tfmp simulate resnet20 --uniform 2,2 --batch 1"


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command to its parser."""
    command.add_argument("network", help="a .keras or .h5 file, a JSON workload, or a name in tfmp.networks")
    command.add_argument("--uniform", type=bit_pair, help="bits W,A of all layers that are not in --assignment")
    command.add_argument("--assignment", help="JSON file of a bit assignment")
    command.add_argument("--hardware", default="bit_fusion", help="name of a preset, or a JSON file")
    batch = integer(at_least=1)
    command.add_argument("--batch", type=batch, default=16, help="samples per batch (default: 16)")
    command.add_argument(
        "--objective",
        choices=OBJECTIVES,
        default="latency",
        help="what the schedule minimizes first (default: latency)",
    )
    command.add_argument(
        "--depthwise",
        choices=DEPTHWISE_ENCODINGS,
        default="single_channel",
        help="encoding of depthwise layers (default: single_channel)",
    )
    command.add_argument("--format", choices=("table", "json", "csv"), default="table", help="default: table")
    command.add_argument("--json", dest="format", action="store_const", const="json", help="the same as --format json")
    command.add_argument("--output", help="with --format json or csv: file to write instead of printing")
    add_overwrite(command)
    add_trust(command)


def run(arguments: argparse.Namespace) -> None:
    """Runs the command."""
    from tfmp.graph import BitAssignment

    if arguments.output and arguments.format == "table":
        raise ValueError("--output needs --format json or csv.")
    assignment = BitAssignment.from_json(arguments.assignment) if arguments.assignment else None
    options = {
        "hardware": load_hardware(arguments.hardware),
        "batch": arguments.batch,
        "objective": arguments.objective,
        "depthwise": arguments.depthwise,
    }
    if arguments.network.endswith(".json"):
        report = _simulate_workload(arguments.network, assignment, arguments.uniform, options)
    else:
        report = _simulate_model(arguments, assignment, options)
    if arguments.format == "table":
        print(report)
        return
    write = report.to_json if arguments.format == "json" else report.to_csv
    text = write(arguments.output, overwrite=arguments.overwrite)
    if not arguments.output:
        print(text, end="")


def _simulate_workload(path, assignment, uniform, options):
    from tfmp.graph import LayerShape
    from tfmp.simulator import read_workload, simulate

    if uniform is None and assignment is None:
        raise ValueError("A workload has no bits: give --uniform W,A or --assignment FILE.")
    layers = read_workload(path)
    names = [layer.name for layer in layers if isinstance(layer, LayerShape)]
    bits = dict.fromkeys(names, uniform) if uniform else {}
    return simulate(layers, bits | dict(assignment.bits if assignment else {}), **options)


def _simulate_model(arguments, assignment, options):
    import tfmp

    name, uniform = arguments.network, arguments.uniform
    if uniform and assignment:
        raise ValueError("Give a model --uniform or --assignment, not both.")
    if os.path.exists(name) or name.endswith(_MODEL_ENDINGS):
        model = load_model_file(name, arguments.trust)
    else:
        import keras

        model = tfmp.networks.get(name)(keras)
    return tfmp.simulate(model, assignment=assignment or uniform, **options)
