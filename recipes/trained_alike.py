"""Which way of choosing bits wins: networks of equal cost, trained alike from the same trained float weights.

    python -m recipes.trained_alike --methods=mobilenet_v1-W3A8-uniform,mobilenet_v1-W3A8-search --seeds=0,1,2

A run is named after its network (one of `recipes.float_networks`), its cell and its way. A cell is a budget: the
BitOps of uniform bits, or their kernel bytes with all activations at 8 bits. A way is either the name of a baseline
(`tfmp.assign.baseline_names()`), whose bits are trained for all `epochs`, or a search. A search takes `search_epochs`
of them and trains the bits that it found for the rest. `float` trains the float network for as many epochs.

Every finished run leaves one JSON in `recipes/results/trained_alike/`; a killed run resumes after its last epoch. At
the end, a table of all finished runs is printed: means over seeds, and the difference to `uniform` of equal seeds with
its 95 % interval.
"""

import dataclasses
import json
import pathlib
import tempfile
import time

import keras

import tfmp
from recipes import classifier, experiment, float_networks, results_table, trained_tables
from recipes.datasets.augmented_images import EpochSeed
from recipes.epoch_records import EpochRecords
from recipes.sensitivities import calibration_images, sensitivity_of

_BITOPS = {"cost": "bitops", "weight_candidates": [1, 2, 3, 4], "activation_candidates": [2, 3, 4]}
_KERNEL_BYTES = {"cost": "model_size", "weight_candidates": [2, 3, 4, 5, 6, 8], "activation_candidates": [8]}
CELLS = {
    "W3A8": {**_KERNEL_BYTES, "uniform_bits": [3, 8]},
    "W4A8": {**_KERNEL_BYTES, "uniform_bits": [4, 8]},
    "W2A2": {**_BITOPS, "uniform_bits": [2, 2]},
    "W3A3": {**_BITOPS, "uniform_bits": [3, 3]},
}
BASELINES = {
    "uniform": {"assignment": "uniform"},
    "depthwise_8": {"assignment": "depthwise_8"},
    "random": {"assignment": "random"},
    "random_again": {"assignment": "random", "draw": 1},
    "greedy": {"assignment": "greedy"},
    "ilp": {"assignment": "ilp"},
}
SEARCHES = {
    "search": {},
    "search_from_scores": {"start": "ilp"},
    "sampled": {"relaxation": "gumbel"},
    "sampled_from_scores": {"relaxation": "gumbel", "start": "ilp"},
}


def train_float(run):
    """Trains a float network further, for the epochs that the others have."""
    model = _float_model(run.config)
    data, (_, test) = _datasets(run)
    classifier.compile_model(model, "sgd")
    start = classifier.accuracy(model, test)
    _fit(run, model, data, run.config["epochs"])
    return {"accuracy": classifier.accuracy(model, test), "start_accuracy": start}


def train_baseline(run):
    """Trains the bits of a baseline."""
    model = _float_model(run.config)
    data, (x_train, test) = _datasets(run)
    images = _calibration(run, x_train)
    search_model = _relaxed(run, model, images)
    found = _assigned(run, run.config["assignment"], search_model, images)
    return _finetuned(run, search_model, found, data, images, test)


def train_search(run):
    """Searches bits and trains them for the remaining epochs."""
    config = run.config
    model = _float_model(config)
    data, (x_train, test) = _datasets(run)
    images = _calibration(run, x_train)
    search_model = _relaxed(run, model, images)
    if config["start"]:
        start = _assigned(run, config["start"], search_model, images)
        tfmp.initialize_search(search_model, start, confidence=config["confidence"])
    backup = run.backup_dir / "search"
    search = tfmp.MixedPrecisionSearch(budget=_budget(config), backup_dir=backup)
    weights = keras.optimizers.SGD(config["learning_rate"], momentum=0.9, nesterov=True)
    classifier.compile_model(search_model, tfmp.SelectionOptimizer(weights))
    evaluation = tfmp.DiscreteEvaluation(search, *test, batch_size=500)
    records = EpochRecords(search, backup)
    start = time.time()
    classifier.fit(search_model, data, config["search_epochs"], callbacks=[search, evaluation, records])
    seconds = round(time.time() - start)
    found = tfmp.discretize(search_model, strategy="budget", budget=_budget(config))
    result = _finetuned(run, search_model, found, data, images, test, first_epoch=config["search_epochs"])
    return result | {"search_history": records.history, "search_seconds": seconds}


def _finetuned(run, search_model, found, data, images, test, *, first_epoch=0):
    """Trains given bits for the remaining epochs and returns the record of the network and of its file."""
    config = run.config
    print(found, flush=True)
    fixed = tfmp.fix(search_model, found, calibration=images)
    classifier.compile_model(fixed, "sgd")
    start = classifier.accuracy(fixed, test)
    _fit(run, fixed, data, config["epochs"] - first_epoch, first_epoch=first_epoch)
    accuracy = classifier.accuracy(fixed, test)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "model.tflite"
        tfmp.export_tflite(fixed, path, mode="small")
        file_accuracy, file_bytes = tfmp.evaluate_tflite(path, test), path.stat().st_size
    return {
        "accuracy": accuracy,
        "file_accuracy": file_accuracy,
        "file_bytes": file_bytes,
        "start_accuracy": start,
        "cost": tfmp.cost(fixed, config["cost"]),
        "bits": {name: list(pair) for name, pair in found.bits.items()},
        "num_test": len(test[0]),
    }


def _fit(run, model, data, epochs, *, first_epoch=0):
    """Trains a compiled model with a cosine schedule; resumes after the last complete epoch."""
    classifier.compile_model(model, classifier.sgd(run.config["learning_rate"], epochs, len(data)))
    backup = run.backup_dir / "training"
    backup.parent.mkdir(parents=True, exist_ok=True)
    callbacks = [EpochSeed(data, first_epoch), keras.callbacks.BackupAndRestore(str(backup), delete_checkpoint=False)]
    model.fit(data, epochs=epochs, shuffle=False, callbacks=callbacks, verbose=2)


def _float_model(config):
    return float_networks.load(config["network"], folder=config["float_folder"])


def _datasets(run):
    keras.utils.set_random_seed(run.seed)
    return classifier.datasets(run.config, run.seed)


def _calibration(run, x_train):
    return calibration_images(x_train, run.config["num_calibration"], run.seed)


def _budget(config):
    return tfmp.Budget(config["cost"], like_uniform=tuple(config["uniform_bits"]))


def _relaxed(run, model, images):
    config = run.config
    return tfmp.relax(
        model,
        weight_bits=config["weight_candidates"],
        activation_bits=config["activation_candidates"],
        relaxation=config["relaxation"],
        calibration=images,
        seed=run.seed,
    )


def _assigned(run, name, search_model, images):
    """Returns the bits of a baseline; scores are kept in a file, so that a resumed run trains the same bits."""
    path = run.backup_dir / f"{name}.json"
    if path.exists():
        return tfmp.BitAssignment.from_json(path)
    scores = None
    if tfmp.assign.needs_scores(name):
        scores, _ = sensitivity_of(search_model, images, run)
    draw = len(BASELINES) * run.seed + run.config["draw"]
    found = tfmp.assign.by_name(name, search_model, _budget(run.config), sensitivity=scores, seed=draw)
    path.parent.mkdir(parents=True, exist_ok=True)
    found.to_json(path)
    return found


def show(folder, _):
    """Prints the table of all finished runs."""
    records = {path.stem: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}
    print(results_table.markdown(*trained_tables.trained_alike(records)))


def _with(train, **settings):
    """Returns a method that trains with these settings."""
    return lambda run: train(dataclasses.replace(run, config={**run.config, **settings}))


METHODS = {f"{network}-float": _with(train_float, network=network) for network in float_networks.names()}
METHODS |= {
    f"{network}-{cell}-{way}": _with(train, network=network, **CELLS[cell], **settings)
    for network in float_networks.names()
    for cell in CELLS
    for train, ways in ((train_baseline, BASELINES), (train_search, SEARCHES))
    for way, settings in ways.items()
}

if __name__ == "__main__":
    experiment.main("trained_alike", METHODS, finish=show)
