"""`tfmp tune --strategy=dual_precision`: width and two precisions for a model size."""

import argparse
import functools
import importlib
import os
import pathlib
import sys

from tfmp.cli.argument_types import bit_list, number, positive_numbers
from tfmp.cli.compress_data import named_function
from tfmp.cli.files import load_model_file
from tfmp.cli.front_files import write_front
from tfmp.cli.output import Results, note, progress
from tfmp.data.array_files import load_arrays

STRATEGY = "dual_precision"
FIRST_STAGE = "precisions"
OWN = ("depthwise_bits", "sizes", "tolerance", "fixed_ends")  # arguments that only this strategy has
UNUSED = ("oracle", "max_trials", "max_accuracy_drop", "x", "warm_start")  # arguments that this strategy ignores


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Adds the arguments of the strategy to the parser of `tfmp tune`."""
    group = command.add_argument_group("dual_precision")
    group.add_argument(
        "--depthwise_bits", type=bit_list, help="candidates for depthwise convolutions (default: the same)"
    )
    group.add_argument(
        "--sizes",
        type=positive_numbers,
        help="sizes, given as widths of the network at 8 bits: precisions are compared at the first size, and the "
        "chosen ones are trained at the others (default: 0.25,0.5,1)",
    )
    tolerance = number(above=0)
    group.add_argument("--tolerance", type=tolerance, help="largest relative error of a size (default: 0.02)")
    group.add_argument("--fixed_ends", action="store_true", help="keep the channels of the first and the last layer")
    command.add_argument("--stage", help=argparse.SUPPRESS)  # for workers


def run(arguments: argparse.Namespace) -> Results:
    """Runs the whole selection, or resumes it."""
    import tfmp
    from tfmp.bindings.framework import framework_name
    from tfmp.transform.classification_data import check_classification

    if arguments.strategy != (STRATEGY,) or arguments.budget or arguments.minimize:
        raise ValueError(
            f"--strategy={STRATEGY} cannot be combined with other strategies, and uses --sizes instead of budgets."
        )
    if len(arguments.activation_bits or (8,)) != 1:
        raise ValueError(f"--strategy={STRATEGY} takes one number of --activation_bits.")
    folder, in_pool = pathlib.Path(arguments.output), "KERASTUNER_ORACLE_IP" in os.environ
    sizes = arguments.sizes or (0.25, 0.5, 1.0)
    data = load_arrays(arguments.data, "x_train", "y_train", "x_test", "y_test")
    build = _builder(arguments, data)
    first = build(sizes[0])
    data = check_classification(data, first)
    keras = importlib.import_module(framework_name(first))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=arguments.loss == "logits")
    hypermodel = tfmp.tuner.DualPrecisionHyperModel(
        build,
        training=tfmp.tuner.Training(loss, arguments.search_epochs, arguments.finetune_epochs),
        weight_bits=arguments.weight_bits or (1, 2, 4, 8),
        depthwise_bits=arguments.depthwise_bits,
        activation_bits=(arguments.activation_bits or (8,))[0],
        sizes=sizes[:1],
        choices={
            "learning_rate": arguments.learning_rate,
            "tolerance": 0.02 if arguments.tolerance is None else arguments.tolerance,
        },
        seed=arguments.seed,
    )
    selection = tfmp.tuner.DualPrecision(hypermodel, sizes=sizes[1:], directory=folder)
    if arguments.overwrite and not in_pool:
        selection.clear()
    with progress():
        if arguments.workers > 1 and not in_pool:
            _run_pools(arguments, stages=(FIRST_STAGE, "sizes") if len(sizes) > 1 else (FIRST_STAGE,))
        else:
            validation = (data["x_test"], data["y_test"])
            options = {"validation_data": validation, "batch_size": arguments.batch_size, "stage": arguments.stage}
            selection.search(data["x_train"], data["y_train"], **options)
    if not in_pool:
        yield from _write(selection, arguments, folder)


def _builder(arguments, data):
    """Returns a function of the width, from a network's name, `module:function` or a file."""
    import tfmp

    name, ends = arguments.model, {"fixed_ends": True} if arguments.fixed_ends else {}
    if name in tfmp.networks.names():
        import keras

        if arguments.loss != "logits":
            raise ValueError(f"The networks of tfmp.networks return logits: pass --loss=logits for {name!r}.")
        sizes = {"image_size": data["x_train"].shape[1], "num_classes": int(data["y_train"].max()) + 1}
        build = functools.partial(tfmp.networks.get(name), keras, **sizes)
        return lambda width: tfmp.width.scale_width(build(), width, **ends) if ends else build(width=width)
    if ":" in name and not os.path.exists(name):
        if ends:
            raise ValueError(
                "--fixed_ends is for networks of tfmp.networks and for files. Your function decides what it scales."
            )
        return named_function(name, "returns a model given a width")
    model = load_model_file(name, arguments.trust)
    return lambda width: tfmp.width.scale_width(model, width, **ends)


def worker_command(arguments: argparse.Namespace, *more: str) -> list[str]:
    """Returns the command line of a worker; -P prevents imports from the current folder, which may have data files."""
    return [sys.executable, "-P", "-m", "tfmp", *arguments.given, *more]


def _run_pools(arguments, stages):
    """Runs one pool of workers per stage, because the second stage needs the result of the first."""
    import tfmp

    for stage in stages:
        command = worker_command(arguments, f"--stage={stage}")
        tfmp.tuner.WorkerPool(command, arguments.workers).run()


def _write(selection, arguments, folder):
    front = selection.pareto()
    write_front(front, folder, arguments, group="weight_bits")
    for record in selection.failed():
        bits, depthwise_bits = (record.values.get(name) for name in ("weight_bits", "depthwise_bits"))
        note(f"Trial {record.trial_id} failed, of bits {bits} and {depthwise_bits} depthwise: {record.reason}")
    yield "front", front
    weight_bits, depthwise_bits = selection.chosen
    yield "chosen_weight_bits", weight_bits
    if depthwise_bits is not None:
        yield "chosen_depthwise_bits", depthwise_bits
    note(f"Wrote {folder / 'front.json'}; every trial has its `fixed.keras`")
