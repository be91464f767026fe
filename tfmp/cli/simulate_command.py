"""`tfmp simulate`."""

import argparse
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from tfmp.cli.argument_types import bit_pair, integer
from tfmp.cli.files import add_overwrite, add_trust, load_hardware, load_model_file
from tfmp.simulator.convolution import DEPTHWISE_ENCODINGS
from tfmp.simulator.layer_cost import OBJECTIVES

if TYPE_CHECKING:  # which are slow to import
    from tfmp.graph import BitAssignment
    from tfmp.reports import BitSweep, HardwareComparison, NetworkReport
    from tfmp.simulator import Hardware

_MODEL_ENDINGS = (".keras", ".h5", ".hdf5")
_SWEPT_BITS = range(8, 0, -1)
DESCRIPTION = "Simulate cycles, memory accesses and energy of a network on one or several machines."
EXAMPLE = "tfmp simulate resnet20 --uniform 2,2 --batch 1 --hardware bit_fusion --hardware eyeriss"


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command to its parser."""
    command.add_argument("network", help="a .keras or .h5 file, a JSON workload, or a name in tfmp.networks")
    command.add_argument("--uniform", type=bit_pair, help="bits W,A of all layers that are not in --assignment")
    command.add_argument("--assignment", help="JSON file of a bit assignment")
    command.add_argument(
        "--sweep", action="store_true", help="in place of --uniform and --assignment: energy at each uniform width"
    )
    command.add_argument(
        "--hardware",
        action="append",
        help="name of a preset, or a JSON file; repeatable, to compare machines side by side (default: bit_fusion)",
    )
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
        choices=(*DEPTHWISE_ENCODINGS, "grouped"),
        help="encoding of depthwise layers (default: the machine's first, single_channel on bit_fusion)",
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
    if arguments.sweep and (arguments.uniform or arguments.assignment):
        raise ValueError("--sweep gives all layers the same bits: leave out --uniform and --assignment.")
    assignment = BitAssignment.from_json(arguments.assignment) if arguments.assignment else None
    hardware = [load_hardware(name) for name in arguments.hardware or ["bit_fusion"]]
    is_workload = arguments.network.endswith(".json")
    simulated = (_of_workload if is_workload else _of_model)(arguments, assignment)
    report = _report(simulated, hardware, arguments)
    if arguments.format == "table":
        print(report)
        return
    write = report.to_json if arguments.format == "json" else report.to_csv
    text = write(arguments.output, overwrite=arguments.overwrite)
    if not arguments.output:
        print(text, end="")


Simulated = Callable[..., "NetworkReport"]  # of (hardware, uniform bits or None)


def _report(
    simulated: Simulated, hardware: list["Hardware"], arguments: argparse.Namespace
) -> "NetworkReport | HardwareComparison | BitSweep":
    from tfmp.reports import BitSweep, HardwareComparison, SweepRow

    if arguments.sweep:
        rows = [
            SweepRow.of(simulated(machine, (bits, bits)), bits, bits) for machine in hardware for bits in _SWEPT_BITS
        ]
        return BitSweep(tuple(rows), arguments.batch)
    reports = tuple(simulated(machine, arguments.uniform) for machine in hardware)
    return HardwareComparison(reports) if len(reports) > 1 else reports[0]


def _of_workload(arguments: argparse.Namespace, assignment: "BitAssignment | None") -> Simulated:
    from tfmp.graph import LayerShape
    from tfmp.simulator import read_workload, simulate

    if arguments.uniform is None and assignment is None and not arguments.sweep:
        raise ValueError("A workload has no bits: give --uniform W,A, --assignment FILE or --sweep.")
    layers = read_workload(arguments.network)
    names = [layer.name for layer in layers if isinstance(layer, LayerShape)]

    def simulated(hardware, uniform):
        bits = dict.fromkeys(names, uniform) if uniform else {}
        return simulate(layers, bits | dict(assignment.bits if assignment else {}), hardware, **_options(arguments))

    return simulated


def _of_model(arguments: argparse.Namespace, assignment: "BitAssignment | None") -> Simulated:
    import tfmp

    name = arguments.network
    if arguments.uniform and assignment:
        raise ValueError("Give a model --uniform or --assignment, not both.")
    if os.path.exists(name) or name.endswith(_MODEL_ENDINGS):
        model = load_model_file(name, arguments.trust)
    else:
        import keras

        model = tfmp.networks.get(name)(keras)

    def simulated(hardware, uniform):
        return tfmp.simulate(model, assignment=assignment or uniform, hardware=hardware, **_options(arguments))

    return simulated


def _options(arguments: argparse.Namespace) -> dict[str, object]:
    return {"batch": arguments.batch, "objective": arguments.objective, "depthwise": arguments.depthwise}
