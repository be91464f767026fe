"""`tfmp search`."""

import argparse
import importlib
import pathlib

from tfmp.cli.argument_types import bit_list, bit_pair, cost_bound, integer, number, seed
from tfmp.cli.files import add_integer_only, add_trust, load_model_file
from tfmp.cli.output import Results, add_json, command_line, progress
from tfmp.cli.search_results import SearchResults
from tfmp.data.array_files import load_arrays
from tfmp.files.atomic_file import check_space

DESCRIPTION = "Search the bits of a model under a budget, train it at these bits, and save both."
EXAMPLE = "tfmp search model.keras data.npz found --budget tflite_bytes=4,4 --weight_bits 2,4,8 --activation_bits 4,8"


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command to its parser."""
    command.add_argument("model", help="a .keras file of a trained classifier")
    command.add_argument(
        "data",
        help="an .npz file with x_train (for several inputs x_train/NAME each), y_train (integer labels) and "
        "optionally x_test, y_test",
    )
    command.add_argument("output", help="folder for fixed.keras and assignment.json; created if missing")
    command.add_argument(
        "--cost",
        default="bitops",
        help="cost of the budget: a name, or a .json or .csv table (default: bitops)",
    )
    command.add_argument("--like_uniform", type=bit_pair, help="budget: the cost of uniform W,A bits (default: 2,2)")
    command.add_argument(
        "--limit", type=number(above=0), help="budget: a number in the cost's unit, for the whole network"
    )
    command.add_argument(
        "--budget",
        type=cost_bound,
        action="append",
        metavar="COST=BOUND",
        help="replaces --cost, --like_uniform and --limit, for example bitops=2,2 or model_size=8e6; repeat it for "
        "several budgets",
    )
    command.add_argument(
        "--weight_bits", type=bit_list, default=(1, 2, 3, 4), help="candidates for weights (default: 1,2,3,4)"
    )
    command.add_argument(
        "--activation_bits", type=bit_list, default=(2, 3, 4), help="candidates for activations (default: 2,3,4)"
    )
    command.add_argument(
        "--sensitivity",
        help="JSON file of the scores of this model at these candidates, from `tfmp inspect`: the search starts "
        "at their best bits within the budget",
    )
    add_training(command, search_epochs=10, finetune_epochs=10)
    add_integer_only(command)
    command.add_argument(
        "--overwrite",
        action="store_true",
        help="replace the files in OUTPUT, and the backup of a search with other settings; the same search is resumed",
    )
    add_trust(command)
    add_json(command)


def add_training(command: argparse.ArgumentParser, *, search_epochs: int, finetune_epochs: int) -> None:
    """Adds the arguments of training, with these default epochs."""
    epochs = {
        "search_epochs": (search_epochs, 1, "epochs with open bits"),
        "finetune_epochs": (finetune_epochs, 0, "epochs at the chosen bits"),
    }
    for name, (default, least, meaning) in epochs.items():
        help_text = f"{meaning} (default: {default})"
        command.add_argument(f"--{name}", type=integer(at_least=least), default=default, help=help_text)
    command.add_argument(
        "--batch_size", type=integer(at_least=1), default=64, help="samples in a training step (default: 64)"
    )
    rate = number(above=0)
    command.add_argument(
        "--learning_rate", type=rate, default=1e-3, help="learning rate of Adam for the weights (default: 0.001)"
    )
    command.add_argument(
        "--loss",
        choices=("logits", "probabilities"),
        default="probabilities",
        help="output of the model (default: probabilities)",
    )
    command.add_argument("--seed", type=seed, default=0, help="of weights, order and noise (default: 0)")


def kept(arguments: argparse.Namespace) -> str | None:
    """Returns what an interrupted run has saved, and how to resume it."""
    backup = pathlib.Path(arguments.output) / "backup"
    if not any(backup.glob("epoch-*[0-9]")):
        return None
    kept_epochs = f"{str(backup)!r} holds the search up to its last complete epoch."
    return f"{kept_epochs} Resume with: {command_line(arguments)}"


def run(arguments: argparse.Namespace) -> Results:
    """Runs the command."""
    from tfmp.mixins.search_backup import SearchBackup

    budget = _budget(arguments)
    folder = pathlib.Path(arguments.output)
    backup = SearchBackup(
        folder / "backup",
        overwrite=arguments.overwrite,
        way_out="choose another OUTPUT, or pass --overwrite to remove it and start again",
    )
    last_epoch = backup.epoch_folder(arguments.search_epochs)
    results = SearchResults(folder, last_epoch, arguments.finetune_epochs, overwrite=arguments.overwrite)
    with results.locked():
        yield from _search(arguments, budget, backup, results)


def _search(arguments, budget, backup, results):
    """Searches and trains, unless already done, and publishes the results."""
    import tfmp
    from tfmp.bindings.framework import framework_name
    from tfmp.bindings.saving.load_model import save_model
    from tfmp.data.batches import first_samples
    from tfmp.mixins.search_backup import VALUE_BYTES
    from tfmp.transform.classification_data import check_classification

    data = load_arrays(arguments.data, "x_train", "y_train")
    model = load_model_file(arguments.model, arguments.trust)
    is_tested = "x_test" in data and "y_test" in data
    checked = check_classification(data, model, ("train", "test") if is_tested else ("train",))
    x_train, y_train = data["x_train"], data["y_train"]
    keras = importlib.import_module(framework_name(model))  # the Keras of the file
    library = tfmp.keras2 if keras.__name__ == "tf_keras" else tfmp
    keras.utils.set_random_seed(arguments.seed)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=arguments.loss == "logits")

    def fit(model, optimizer, epochs, **options):
        model.compile(optimizer=optimizer, loss=loss, metrics=["accuracy"])
        if epochs:  # tf_keras does not accept 0
            options = {"batch_size": arguments.batch_size, "epochs": epochs, "verbose": 2, **options}
            with progress():
                model.fit(checked["x_train"], y_train, **options)

    search_model = tfmp.relax(
        model,
        weight_bits=arguments.weight_bits,
        activation_bits=arguments.activation_bits,
        calibration=first_samples([x_train], 512),
        integer_only=arguments.integer_only,
        seed=arguments.seed,
    )
    if arguments.sensitivity:
        tfmp.initialize_search(search_model, tfmp.Sensitivity.load(arguments.sensitivity), budget=budget)
    num_values = 3 * search_model.count_params()  # Adam has two moments per parameter
    check_space(results.folder, backup.needed_bytes(num_values) + VALUE_BYTES * num_values)
    names = ["x_train", "y_train", "seed", "batch_size", "loss"]
    names += ["sensitivity"] if arguments.sensitivity else []
    identity = {name: data[name] if name in data else getattr(arguments, name) for name in names}
    search = library.MixedPrecisionSearch(budget=budget, backup_dir=backup, identity=identity)
    weights = keras.optimizers.Adam(arguments.learning_rate)
    optimizer = library.SelectionOptimizer(weights)
    fit(search_model, optimizer, arguments.search_epochs, callbacks=[search])
    if not results.are_written:
        assignment = tfmp.discretize(search_model, strategy="budget", budget=budget)
        fixed = tfmp.fix(search_model, assignment, calibration=first_samples([x_train], 2048))
        fit(fixed, keras.optimizers.Adam(arguments.learning_rate), arguments.finetune_epochs)

        def save(model_path, assignment_path):
            save_model(fixed, model_path)
            assignment.to_json(assignment_path, overwrite=True)

        results.write(save)
    results.publish()
    backup.remove()
    model_path, assignment_path = results.paths
    yield "assignment", tfmp.BitAssignment.from_json(assignment_path)
    if is_tested:
        fixed = load_model_file(str(model_path), arguments.trust)
        fixed.compile(loss=loss, metrics=["accuracy"])
        accuracy = fixed.evaluate(checked["x_test"], checked["y_test"], verbose=0)[1]
        yield "test_accuracy", accuracy
    yield "model", str(model_path)


def _budget(arguments):
    """Returns the budget, or a list of several."""
    import tfmp

    if arguments.limit is not None and arguments.like_uniform is not None:
        raise ValueError("Give either --limit or --like_uniform.")
    if arguments.budget and (arguments.limit is not None or arguments.like_uniform is not None):
        raise ValueError("Give either --budget, once or several times, or --limit or --like_uniform.")
    like_uniform = None if arguments.limit is not None else arguments.like_uniform or (2, 2)
    budgets = [tfmp.Budget(*each) for each in arguments.budget or [(arguments.cost, arguments.limit, like_uniform)]]
    return budgets if len(budgets) > 1 else budgets[0]
