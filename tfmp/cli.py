"""The command line: `tfmp inspect | search | export | compare | simulate | report | demo`."""

import argparse
import importlib
import os
import pathlib
import shutil
import sys
import zipfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def main(arguments=None) -> int:
    """Runs one command; returns the exit code. Errors of the user are one line on standard error."""
    parsed = _parser().parse_args(arguments)
    try:
        parsed.run(parsed)
    except (OSError, TypeError, ValueError, ImportError) as error:
        text = str(error).replace("overwrite=True", "--overwrite")
        print(f"tfmp {parsed.command}: {text}", file=sys.stderr)
        return 1
    return 0


def _parser():
    parser = argparse.ArgumentParser(prog="tfmp", description="Mixed precision for Keras models.")
    commands = parser.add_subparsers(dest="command", required=True)

    def add(name, run, description):
        command = commands.add_parser(name, help=description, description=description)
        command.set_defaults(run=run)
        return command

    command = add("inspect", _inspect, "List the layers of a model and what a search would do to each, or of a file.")
    command.add_argument("model", help="a .keras file, or a .tflite file that tfmp wrote")

    command = add("search", _search, "Search the bits of a model under a budget, train it at them, and save both.")
    command.add_argument("model", help="a .keras file of a trained classifier")
    command.add_argument(
        "data", help="an .npz file with x_train, y_train (integer labels) and, if there, x_test, y_test"
    )
    command.add_argument("output", help="folder for fixed.keras and assignment.json; made if missing")
    command.add_argument("--cost", default="bitops", help="cost that the budget bounds (default: bitops)")
    command.add_argument("--like_uniform", type=_pair, help="budget: what W,A bits everywhere cost (default: 2,2)")
    command.add_argument("--limit", type=float, help="budget: a number in the cost's unit, for the whole network")
    command.add_argument("--weight_bits", type=_bits, default=(1, 2, 3, 4), help="candidates (default: 1,2,3,4)")
    command.add_argument("--activation_bits", type=_bits, default=(2, 3, 4), help="candidates (default: 2,3,4)")
    command.add_argument("--search_epochs", type=int, default=10)
    command.add_argument("--finetune_epochs", type=int, default=10)
    command.add_argument("--batch_size", type=int, default=64)
    command.add_argument("--learning_rate", type=float, default=1e-3, help="of Adam, for weights (default: 0.001)")
    command.add_argument(
        "--loss", choices=("logits", "probabilities"), default="probabilities", help="the model's output"
    )
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--overwrite", action="store_true")

    command = add("export", _export, "Write a fixed model as a TFLite file.")
    command.add_argument("model", help="a .keras file of a fixed model")
    command.add_argument("output", help="the .tflite file")
    command.add_argument("--mode", default="fast", help="how weights are stored, see tfmp.export_tflite")
    command.add_argument("--labels", help="a text file with the name of one class a line")
    command.add_argument("--verify", help="an .npz file with x_test or x_train, run through both and compared")
    command.add_argument("--overwrite", action="store_true")

    command = add(
        "compare", _compare, "Run a TFLite file and compare it with the fixed model that it was exported from."
    )
    command.add_argument("model", help="a .keras file of a fixed model")
    command.add_argument("file", help="the .tflite file")
    command.add_argument("data", help="an .npz file with x_test or x_train")
    command.add_argument("--json", help="file to write the report to, besides printing it")
    command.add_argument("--overwrite", action="store_true")

    command = add("simulate", _simulate, "Cycles, memory accesses and energy of a network on an accelerator.")
    command.add_argument("network", help="a .keras file, a JSON workload, or a name in tfmp.networks")
    command.add_argument("--uniform", type=_pair, help="bits W,A of all layers, or of those not in --assignment")
    command.add_argument("--assignment", help="JSON file of a bit assignment")
    command.add_argument("--hardware", default="bit_fusion", help="name of a preset, or a JSON file")
    command.add_argument("--batch", type=int, default=16, help="samples that run together (default: 16)")
    command.add_argument("--objective", default="latency", help="what schedules minimize first: latency or energy")
    command.add_argument("--depthwise", default="single_channel", help="single_channel, dense or per_group")
    command.add_argument("--format", choices=("table", "json", "csv"), default="table")
    command.add_argument("--output", help="file to write instead of printing, with --format json or csv")
    command.add_argument("--overwrite", action="store_true")

    command = add("report", _report, "Bits, BitOps, bytes and energy of a fixed model, layer by layer.")
    command.add_argument("model", help="a .keras file of a fixed model")
    command.add_argument("--hardware", default="bit_fusion", help="name of a preset, or a JSON file")

    command = add("demo", _demo, "The whole job on scikit-learn's digits, in a few minutes.")
    command.add_argument("--output", default="tfmp_demo", help="folder for its files (default: tfmp_demo)")
    command.add_argument("--seed", type=int, default=0)
    return parser


def _inspect(arguments):
    import tfmp

    is_file = arguments.model.endswith(".tflite")
    print(tfmp.inspect(arguments.model if is_file else _load(arguments.model)))


def _search(arguments):
    import tfmp
    from tfmp.bindings import binding
    from tfmp.types.atomic_file import check_writable

    if arguments.limit is not None and arguments.like_uniform is not None:
        raise ValueError("Give either --limit or --like_uniform.")
    like_uniform = None if arguments.limit is not None else arguments.like_uniform or (2, 2)
    budget = tfmp.Budget(arguments.cost, limit=arguments.limit, like_uniform=like_uniform)
    folder = pathlib.Path(arguments.output)
    model_path, assignment_path = folder / "fixed.keras", folder / "assignment.json"
    if folder.exists():
        for path in (model_path, assignment_path):
            check_writable(path, arguments.overwrite)
    data = _data(arguments.data, "x_train", "y_train")
    model = _load(arguments.model)
    x_train, y_train = data["x_train"], _class_indices(data["y_train"], len(data["x_train"]), model)
    framework = importlib.import_module(binding.framework_of(model))  # that of the file
    ours = tfmp.keras2 if framework.__name__ == "tf_keras" else tfmp
    framework.utils.set_random_seed(arguments.seed)
    loss = framework.losses.SparseCategoricalCrossentropy(from_logits=arguments.loss == "logits")

    def fit(model, optimizer, epochs, **options):
        model.compile(optimizer=optimizer, loss=loss, metrics=["accuracy"])
        model.fit(x_train, y_train, batch_size=arguments.batch_size, epochs=epochs, verbose=2, **options)

    search_model = tfmp.relax(
        model,
        weight_bits=arguments.weight_bits,
        activation_bits=arguments.activation_bits,
        calibration=x_train[:512],
        seed=arguments.seed,
    )
    # The backup makes the folder, when everything has turned out to fit.
    search = ours.MixedPrecisionSearch(budget=budget, backup_dir=folder / "backup")
    weights = framework.optimizers.Adam(arguments.learning_rate)
    optimizer = ours.SelectionOptimizer(weights, framework.optimizers.Adam(0.02))
    fit(search_model, optimizer, arguments.search_epochs, callbacks=[search])
    assignment = tfmp.discretize(search_model, strategy="budget", budget=budget)
    fixed = tfmp.fix(search_model, assignment, calibration=x_train[:2048])
    fit(fixed, framework.optimizers.Adam(arguments.learning_rate), arguments.finetune_epochs)
    beside = folder / "fixed.tmp.keras"
    fixed.save(beside)
    os.replace(beside, model_path)
    assignment.to_json(assignment_path, overwrite=arguments.overwrite)
    shutil.rmtree(folder / "backup", ignore_errors=True)
    print(assignment)
    if "x_test" in data and "y_test" in data:
        accuracy = fixed.evaluate(data["x_test"], data["y_test"], verbose=0)[1]
        print(f"Accuracy on the test set: {accuracy:.2%}")
    print(f"Wrote {model_path} and {assignment_path}")


def _export(arguments):
    import tfmp

    labels = ()
    if arguments.labels:
        labels = pathlib.Path(arguments.labels).read_text(encoding="utf-8").splitlines()
    report = tfmp.export_tflite(
        _load(arguments.model),
        arguments.output,
        mode=arguments.mode,
        labels=labels,
        verify=_inputs(arguments.verify) if arguments.verify else None,
        overwrite=arguments.overwrite,
    )
    print(report)


def _compare(arguments):
    import tfmp
    from tfmp.types.atomic_file import check_writable

    if arguments.json:
        check_writable(arguments.json, arguments.overwrite)
    report = tfmp.compare_tflite(_load(arguments.model), arguments.file, _inputs(arguments.data))
    print(report)
    if arguments.json:
        report.to_json(arguments.json, overwrite=arguments.overwrite)


def _simulate(arguments):
    from tfmp.types import BitAssignment

    if arguments.output and arguments.format == "table":
        raise ValueError("--output needs --format json or csv.")
    assignment = BitAssignment.from_json(arguments.assignment) if arguments.assignment else None
    options = {
        "hardware": _hardware(arguments.hardware),
        "batch": arguments.batch,
        "objective": arguments.objective,
        "depthwise": arguments.depthwise,
    }
    simulate = _simulate_workload if arguments.network.endswith(".json") else _simulate_model
    report = simulate(arguments.network, assignment, arguments.uniform, options)
    if arguments.format == "table":
        print(report)
        return
    write = report.to_json if arguments.format == "json" else report.to_csv
    text = write(arguments.output, overwrite=arguments.overwrite)
    if not arguments.output:
        print(text, end="")


def _simulate_workload(path, assignment, uniform, options):
    from tfmp.simulator import read_workload, simulate
    from tfmp.types import LayerShape

    if uniform is None and assignment is None:
        raise ValueError("A workload has no bits of its own: give --uniform W,A or --assignment FILE.")
    layers = read_workload(path)
    names = [layer.name for layer in layers if isinstance(layer, LayerShape)]
    bits = dict.fromkeys(names, uniform) if uniform else {}
    return simulate(layers, bits | dict(assignment.bits if assignment else {}), **options)


def _simulate_model(name, assignment, uniform, options):
    import tfmp

    if uniform and assignment:
        raise ValueError("Give a model --uniform or --assignment, not both.")
    if name.endswith(".keras"):
        model = _load(name)
    else:
        import keras

        model = tfmp.networks.get(name)(keras)
    return tfmp.simulate(model, assignment=assignment or uniform, **options)


def _report(arguments):
    import tfmp

    print(tfmp.layer_table(_load(arguments.model), hardware=_hardware(arguments.hardware)))


def _demo(arguments):
    from tfmp import demo

    demo.run(arguments.output, seed=arguments.seed)


def _load(path):
    import tfmp

    if not os.path.exists(path):
        raise FileNotFoundError(f"There is no file {path!r}. Expected a .keras file.")
    return tfmp.load_model(path)


def _data(path, *needed):
    import numpy as np

    if not os.path.exists(path):
        raise FileNotFoundError(f"There is no file {path!r}. Expected an .npz file with the data.")
    if not zipfile.is_zipfile(path):
        raise ValueError(f"Expected an .npz file, as `numpy.savez` writes it. Received: {path!r}")
    with np.load(path) as arrays:
        missing = [name for name in needed if name not in arrays]
        if missing:
            raise ValueError(f"Expected {', '.join(needed)} in {path!r}. Missing: {', '.join(missing)}")
        return {name: arrays[name] for name in arrays.files}


def _class_indices(labels, count, model):
    """The labels, if they are what sparse cross-entropy takes: wrong ones it meets in the middle of training."""
    import numpy as np

    if len(model.outputs) != 1:
        raise ValueError(f"Expected a classifier with one output. Received a model with {len(model.outputs)}.")
    *places, classes = model.outputs[0].shape[1:]
    shape = (count, *places)
    if labels.shape not in (shape, (*shape, 1)) or not np.isin(labels, np.arange(classes)).all():
        raise ValueError(
            f"y_train must hold class indices from 0 to {classes - 1}, in the shape {shape}. Received: {labels.dtype} "
            f"of shape {labels.shape}, such as {', '.join(map(str, np.unique(labels)[-3:]))}"
        )
    return labels


def _inputs(path):
    data = _data(path)
    for name in ("x_test", "x_train"):
        if name in data:
            return data[name]
    raise ValueError(f"Expected x_test or x_train in {path!r}. Received: {', '.join(data)}")


def _hardware(name):
    from tfmp.simulator import Hardware

    return Hardware.from_json(name) if name.endswith(".json") else Hardware.from_preset(name)


def _bits(text):
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"expected integers separated by commas, received {text!r}") from error


def _pair(text):
    bits = _bits(text)
    if len(bits) != 2:
        raise argparse.ArgumentTypeError(f"expected two integers W,A, received {text!r}")
    return bits
