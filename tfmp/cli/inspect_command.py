"""`tfmp inspect`."""

import argparse

from tfmp.cli.argument_types import cost_bound
from tfmp.cli.files import add_trust, load_model_file
from tfmp.cli.measurement import add_measurement, measured, relaxed_with_inputs
from tfmp.cli.output import Results, add_json

DESCRIPTION = (
    "List the layers of a model with their status and the possible exports, or the contents of a TFLite file. With "
    "--data, predict whether mixed bits will pay."
)
EXAMPLE = "tfmp inspect model.keras --data data.npz --budget model_size=4,8"


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command to its parser."""
    command.add_argument("model", help="a .keras file, or a .tflite file of tfmp")
    command.add_argument(
        "--data",
        help="an .npz file with x_train (for several inputs x_train/NAME each): forecast mixed against uniform",
    )
    command.add_argument(
        "--budget",
        type=cost_bound,
        action="append",
        metavar="COST=BOUND",
        help="budget of the forecast, for example bitops=4,4 or model_size=8e6; repeatable (default: bitops of uniform "
        "bits)",
    )
    add_measurement(command)
    add_trust(command)
    add_json(command)


def run(arguments: argparse.Namespace) -> Results:
    """Runs the command."""
    import tfmp

    if arguments.data is None and (arguments.budget or arguments.sensitivity):
        raise ValueError("--budget and --sensitivity belong to a forecast, which needs --data. Give it, or omit them.")
    if arguments.model.endswith(".tflite"):
        if arguments.data is not None:
            raise ValueError("--data needs a .keras model: the bits of a TFLite file are chosen. Omit it.")
        yield "file", tfmp.inspect(arguments.model)
        return
    model = load_model_file(arguments.model, arguments.trust)
    yield "model", tfmp.inspect(model)
    if arguments.data is not None:
        budgets = [tfmp.Budget(*each) for each in arguments.budget] if arguments.budget else None
        sensitivity = measured(arguments, *relaxed_with_inputs(arguments, model))
        yield "forecast", sensitivity.forecast(budgets)
