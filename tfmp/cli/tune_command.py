"""`tfmp tune`."""

import argparse
import importlib
import os
import pathlib

from tfmp.cli import tune_width
from tfmp.cli.argument_types import bit_list, cost_bound, integer, number
from tfmp.cli.files import add_trust, load_model_file
from tfmp.cli.front_files import write_front
from tfmp.cli.output import Results, add_json, command_line, note, progress
from tfmp.cli.search_command import add_training
from tfmp.data.array_files import load_arrays
from tfmp.files.folder_locks import LOCKS

DESCRIPTION = (
    "Compare budgets and strategies, and write the front of accuracy against cost. A stopped run can be resumed."
)
EXAMPLE = "tfmp tune model.keras data.npz tuning --budget bitops=2,2 --budget bitops=3,3 --strategy mixed,uniform"
_ORACLES = ("grid", "random", "bayesian", "hyperband")


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command to its parser."""
    command.add_argument(
        "model",
        help="a .keras file of a trained classifier; with --strategy=dual_precision the file of any model, the name "
        "of a network of tfmp.networks, or module:function, a function that returns a model given a width",
    )
    command.add_argument("data", help="an .npz file with x_train, y_train and x_test, y_test (integer labels)")
    command.add_argument("output", help="folder for trials, models and the front; created if missing")
    command.add_argument(
        "--budget",
        type=cost_bound,
        action="append",
        metavar="COST=BOUND",
        help="a budget to try, for example bitops=2,2 or model_size=8e6; repeatable (default: bitops=2,2, bitops=3,3 "
        "and bitops=4,4)",
    )
    command.add_argument(
        "--strategy",
        type=_names,
        default=("mixed",),
        help="mixed, uniform, depthwise_8, random, greedy, ilp, or several separated by commas; or dual_precision: "
        "compares networks of fewer bits and more channels at equal size, trained from scratch without a search",
    )
    command.add_argument("--sensitivity", help="JSON file of the scores of this model, for greedy and ilp")
    command.add_argument("--oracle", choices=_ORACLES, help="how trials are selected (default: grid)")
    command.add_argument(
        "--max_trials",
        type=integer(at_least=1),
        help="largest number of trials (default: the whole grid, or 10 with another oracle)",
    )
    command.add_argument("--minimize", metavar="COST", help="instead of budgets: find the smallest cost by bisection")
    drop = number(at_least=0, at_most=1)
    command.add_argument("--max_accuracy_drop", type=drop, help="with --minimize: the largest accuracy drop, 0 to 1")
    command.add_argument(
        "--weight_bits", type=bit_list, help="candidates for weights (default: 1,2,3,4; for dual_precision 1,2,4,8)"
    )
    command.add_argument(
        "--activation_bits", type=bit_list, help="candidates for activations (default: 2,3,4; for dual_precision 8)"
    )
    add_training(command, search_epochs=4, finetune_epochs=6)
    tune_width.add_arguments(command)
    command.add_argument("--x", help="cost of the front: bitops, energy_nj, tflite_bytes, ... (default: bitops)")
    command.add_argument("--warm_start", action="store_true", help="start each search from that of the nearest budget")
    command.add_argument(
        "--workers", type=integer(at_least=1), default=1, help="processes that run trials (default: 1)"
    )
    add_trust(command)
    add_json(command)
    begin = command.add_mutually_exclusive_group()
    begin.add_argument("--resume", action="store_true", help="resume a run with the same settings in OUTPUT")
    begin.add_argument("--overwrite", action="store_true", help="remove an earlier run from OUTPUT")


def kept(arguments: argparse.Namespace) -> str | None:
    """Returns what an interrupted run has saved, and how to resume it."""
    if not any(pathlib.Path(arguments.output).glob("**/experiment.json")):
        return None
    added = () if arguments.resume else ("--resume",)
    resumed = command_line(arguments, *added, omitted="--overwrite")
    return f"{arguments.output!r} holds every finished trial. Resume with: {resumed}"


def run(arguments: argparse.Namespace) -> Results:
    """Runs the command."""
    folder = pathlib.Path(arguments.output)
    in_pool = "KERASTUNER_ORACLE_IP" in os.environ
    of_width = tune_width.STRATEGY in arguments.strategy
    _check_combination(arguments, of_width)
    if not in_pool:
        _check_folder(arguments, folder, folder / tune_width.FIRST_STAGE if of_width else folder)
    if of_width:
        yield from tune_width.run(arguments)
        return
    from tfmp.transform.classification_data import check_classification

    data = load_arrays(arguments.data, "x_train", "y_train", "x_test", "y_test")
    model = load_model_file(arguments.model, arguments.trust)
    data = check_classification(data, model)
    tuner = _tuner(arguments, model, folder)
    with progress():
        if arguments.workers > 1 and not in_pool:
            _run_pool(arguments)
        else:
            validation = (data["x_test"], data["y_test"])
            tuner.search(data["x_train"], data["y_train"], validation_data=validation, batch_size=arguments.batch_size)
    if not in_pool:
        yield from _write_front(tuner, arguments, folder)


def _check_combination(arguments, of_width):
    """Raises an error for arguments that would be ignored."""
    for name in tune_width.UNUSED if of_width else tune_width.OWN:
        value = getattr(arguments, name)
        if value is not None and value is not False:
            where = f"{'with' if of_width else 'without'} --strategy={tune_width.STRATEGY}"
            raise ValueError(f"--{name} has no effect {where}. Omit it.")
    if arguments.max_accuracy_drop is not None and not arguments.minimize and not of_width:
        raise ValueError("--max_accuracy_drop needs --minimize COST. Give both, or omit it.")
    if arguments.minimize and arguments.oracle:
        raise ValueError("--minimize selects its trials by bisection. Omit --oracle.")


def _check_folder(arguments, folder, project):
    """Checks whether the folder has a run to resume or is free; after a kill before the first trial it is free."""
    is_begun = (project / "experiment.json").exists()
    if arguments.resume and not is_begun:
        raise ValueError(f"The folder {str(folder)!r} has no run to resume. Omit --resume to start one.")
    if is_begun and not (arguments.resume or arguments.overwrite):
        raise ValueError(f"The folder {str(folder)!r} has a run already. Pass --resume to continue it, or --overwrite.")
    expected = {LOCKS, tune_width.FIRST_STAGE if project != folder else LOCKS}
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    others = sorted(name for name in names if not name.startswith(".") and name not in expected)
    if others and not is_begun:
        raise ValueError(f"The folder {str(folder)!r} has other files: {', '.join(others[:5])}. Choose another OUTPUT.")


def _tuner(arguments, model, folder):
    import tfmp
    from tfmp.bindings.framework import framework_name

    keras = importlib.import_module(framework_name(model))  # the Keras of the file
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=arguments.loss == "logits")
    budgets = None
    if not arguments.minimize:
        given = arguments.budget or [("bitops", None, (bits, bits)) for bits in (2, 3, 4)]
        budgets = [tfmp.Budget(cost, limit=limit, like_uniform=pair) for cost, limit, pair in given]
    elif arguments.budget:
        raise ValueError("Give either --budget or --minimize.")
    hypermodel = tfmp.tuner.MixedPrecisionHyperModel(
        model,
        budgets,
        training=tfmp.tuner.Training(loss, arguments.search_epochs, arguments.finetune_epochs),
        strategies=arguments.strategy,
        choices={
            "weight_bits": arguments.weight_bits or (1, 2, 3, 4),
            "activation_bits": arguments.activation_bits or (2, 3, 4),
            "learning_rate": arguments.learning_rate,
            "search_learning_rate": arguments.learning_rate,
        },
        sensitivity=tfmp.Sensitivity.load(arguments.sensitivity) if arguments.sensitivity else None,
        seed=arguments.seed,
    )
    _check_x(arguments, budgets)
    if arguments.minimize:
        chosen = {"minimize": arguments.minimize, "max_accuracy_drop": arguments.max_accuracy_drop}
        chosen["max_trials"] = arguments.max_trials
    else:
        epochs = arguments.search_epochs + arguments.finetune_epochs
        limits = {"max_trials": arguments.max_trials, "max_epochs": epochs, "seed": arguments.seed}
        chosen = {"oracle": tfmp.tuner.new_oracle(arguments.oracle or "grid", "val_accuracy", **limits)}
    return tfmp.tuner.BudgetTuner(
        hypermodel,
        directory=folder.parent,
        project_name=folder.name,
        overwrite=arguments.overwrite,
        warm_start=arguments.warm_start,
        safe_mode=not arguments.trust,
        **chosen,
    )


def _check_x(arguments, budgets):
    """Raises an error, before training, for a cost that no trial will record."""
    from tfmp.tuner.trial_record import recorded_names

    names = recorded_names([arguments.minimize] if arguments.minimize else [budget.cost for budget in budgets])
    known = ("val_loss", "val_accuracy", "accuracy_drop", "seconds", *names)
    if arguments.x and arguments.x not in known:
        raise ValueError(f"--x must be one of {', '.join(known)}. Received: {arguments.x!r}")


def _run_pool(arguments):
    import tfmp
    from tfmp.tuner.worker_pool import TAKES_UP

    command = tune_width.worker_command(arguments)
    # What was there is overwritten by now.
    tfmp.tuner.WorkerPool(command, arguments.workers, environment={TAKES_UP: "1"}).run()


def _write_front(tuner, arguments, folder):
    front = tuner.pareto(x=arguments.x or "bitops", y="val_accuracy")
    for record in tuner.records():
        if not record.is_completed:
            note(f"Trial {record.trial_id} failed: {record.reason}")
    if not front.points:
        raise ValueError("No trial was completed.")
    write_front(front, folder, arguments, group="strategy")
    yield "front", front
    if arguments.minimize:
        yield f"smallest_{arguments.minimize}", f"trial {tuner.smallest().trial_id}"
    note(f"Wrote {folder / 'front.json'}; the network of a trial is {folder / 'trial_ID' / 'fixed.keras'}")


def _names(text):
    return tuple(text.split(","))
