"""`tfmp quantize`."""

import argparse

from tfmp.cli.argument_types import bit_list, cost_bound, integer, seed
from tfmp.cli.files import add_integer_only, add_overwrite, add_trust, load_model_file
from tfmp.cli.measurement import add_measurement, first_inputs, measured, relaxed_with_inputs
from tfmp.cli.output import Results, add_json, messages

DESCRIPTION = "Quantize a model after training, for `tfmp export`."
EXAMPLE = "tfmp quantize model.keras data.npz fixed.keras --budget tflite_bytes=4,8 --post_training reconstruction"


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command to its parser."""
    command.add_argument("model", help="a .keras file of a trained model")
    command.add_argument("data", help="an .npz file with x_train (for several inputs x_train/NAME each)")
    command.add_argument("output", help="the .keras file of the quantized model")
    command.add_argument("--bits", type=bit_list, help="bits of weights and activations, N or W,A (default: 8)")
    command.add_argument("--assignment", help="JSON file of a bit assignment; replaces --bits")
    command.add_argument(
        "--budget",
        type=cost_bound,
        action="append",
        metavar="COST=BOUND",
        help="choose the bits within a budget, for example bitops=4,4 or model_size=8e6; repeat it for several "
        "that all hold; replaces --bits",
    )
    command.add_argument(
        "--method",
        help="how bits are chosen within --budget: uniform, depthwise_8, greedy, ilp or random (default: ilp, those of "
        "least total sensitivity)",
    )
    add_measurement(command)
    command.add_argument(
        "--post_training",
        choices=("ranges", "moments", "reconstruction"),
        default="moments",
        help="what is fitted to the inputs: ranges; also means and variances (the default); also rounding, which takes "
        "minutes and improves few bits most",
    )
    updates = integer(at_least=1)
    command.add_argument("--iterations", type=updates, help="updates of the reconstruction for each block")
    command.add_argument("--seed", type=seed, default=0, help="seed of the reconstruction (default: 0)")
    command.add_argument("--backup_dir", help="folder from which a reconstruction resumes if it is interrupted")
    add_integer_only(command)
    add_overwrite(command)
    add_trust(command)
    add_json(command)


def run(arguments: argparse.Namespace) -> Results:
    """Runs the command."""
    import tfmp
    from tfmp.bindings.saving.load_model import save_model
    from tfmp.files.atomic_file import check_writable

    check_writable(arguments.output, arguments.overwrite)
    sources = [name for name in ("bits", "assignment", "budget") if getattr(arguments, name)]
    if len(sources) > 1:
        raise ValueError(f"Give one of --bits, --assignment and --budget. Received: --{' and --'.join(sources)}.")
    if not arguments.budget and (arguments.method or arguments.sensitivity):
        raise ValueError("--method and --sensitivity choose bits within a budget. Give --budget, or omit them.")
    level = _level(arguments)
    model = load_model_file(arguments.model, arguments.trust)
    if arguments.budget:
        search_model, inputs = relaxed_with_inputs(arguments, model, integer_only=arguments.integer_only)
        assignment = _within(arguments, [tfmp.Budget(*each) for each in arguments.budget], search_model, inputs)
        yield "assignment", assignment
        with messages():
            fixed = tfmp.fix(search_model, assignment, calibration=inputs, post_training=level, verbose=1)
    else:
        bits = arguments.bits or (8,)
        bits = bits if len(bits) > 1 else bits[0]
        if arguments.assignment:
            bits = tfmp.BitAssignment.from_json(arguments.assignment)
        inputs = first_inputs(arguments, model)
        with messages():
            options = {"post_training": level, "integer_only": arguments.integer_only, "verbose": 1}
            fixed = tfmp.quantize(model, bits, calibration=inputs, **options)
    save_model(fixed, arguments.output)
    yield "model", arguments.output


def _level(arguments):
    """Returns the level of post-training that the arguments say, with its settings."""
    import tfmp

    if arguments.post_training != "reconstruction":
        return arguments.post_training
    settings = {"seed": arguments.seed, "backup_dir": arguments.backup_dir}
    if arguments.iterations is not None:
        settings["iterations"] = arguments.iterations
    return tfmp.Reconstruction(**settings)


def _within(arguments, budgets, search_model, inputs):
    """Returns the bits that the method chooses within budgets."""
    import tfmp

    method = arguments.method or "ilp"
    is_scored = tfmp.assign.needs_scores(method)
    sensitivity = measured(arguments, search_model, inputs) if is_scored else None
    return tfmp.assign.by_name(method, search_model, budgets, sensitivity=sensitivity, tolerance=0.1)
