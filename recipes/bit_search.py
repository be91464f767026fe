"""The methods that recipes compare: uniform bits, searched bits, given bits; all from the same float weights.

- `float`: trains in floating point.
- `uniform`: trains at `uniform_bits` everywhere, for the epochs of a search and of a fine-tuning together.
- `mixed`: searches bits at the same BitOps, then fine-tunes at them: the same number of epochs in all.
- `search`: only searches, and keeps the searched model for `discretized`.
- `discretized`: chooses bits from the search that `search` names, by `strategy`, and fine-tunes at them.
- `retrained`: trains the bits that `assignment` says, from fitted ranges and normalizations estimated again, like the
  fine-tuning of `mixed`: among such runs bits alone differ. `uniform` starts from its quantizer's own first ranges.
"""

import dataclasses
import os

import keras
import numpy as np

import tfmp
from recipes.assignments import assignment_of, budget_of, discretized, equivalent_bits, relaxed
from recipes.classifier import accuracy, compile_model, datasets, fit, float_model, float_name, sgd, train
from recipes.epoch_records import EpochRecords

NAMING = {"float": float_name}


def run_float(run):
    """Trains in floating point."""
    model, history = float_model(run.config, run.seed, run.work_dir)
    _, (_, test) = datasets(run.config, run.seed)
    return {"accuracy": accuracy(model, test), "history": history}


def run_uniform(run):
    """Trains at the same bits everywhere."""
    config, seed = run.config, run.seed
    model, _ = float_model(config, seed, run.work_dir)
    data, (x_train, test) = datasets(config, seed)
    keras.utils.set_random_seed(seed)
    bits = tuple(config["uniform_bits"])
    uniform = tfmp.relax(
        model, weight_bits=bits[:1], activation_bits=bits[1:], quantizer=config["quantizer"], calibration=x_train[:512]
    )
    epochs = config["search_epochs"] + config["finetune_epochs"]
    history, final = train(uniform, data, test, epochs, config["learning_rate"])
    return {
        "accuracy": final,
        "bitops": tfmp.cost(uniform, "bitops"),
        "equivalent_bits": float(np.sqrt(np.prod(bits))),
        "history": history,
    }


def run_search(run):
    """Searches, and keeps the searched model."""
    search_model, result = searched(run)
    path = _searched_path(run, run.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    search_model.save(path.with_suffix(".tmp.keras"))
    os.replace(path.with_suffix(".tmp.keras"), path)
    return {"accuracy": result["relaxed_accuracy"], **result}


def run_mixed(run):
    """Searches, fixes and fine-tunes."""
    search_model, result = searched(run)
    return {**result, **finetuned(run, search_model)}


def run_discretized(run):
    """Fixes and fine-tunes what another run searched; searches again where its model is not in the working folder."""
    name = f"{run.config['search']}{run.suffix}"
    record = run.result_of(run.config["search"])
    if not _searched_path(run, name).exists():
        run_search(dataclasses.replace(run, name=name, config=record["config"]))
    return finetuned(run, tfmp.load_model(_searched_path(run, name)))


def run_retrained(run):
    """Trains given bits from the float weights."""
    config, seed = run.config, run.seed
    model, _ = float_model(config, seed, run.work_dir)
    data, (x_train, test) = datasets(config, seed)
    keras.utils.set_random_seed(seed)
    search_model = relaxed(model, config, seed, x_train)
    bits = assignment_of(run, search_model, x_train)
    fixed = tfmp.fix(search_model, bits, calibration=x_train[:2048])
    epochs = config["search_epochs"] + config["finetune_epochs"]
    history, final = train(fixed, data, test, epochs, config["learning_rate"])
    return {
        "accuracy": final,
        "bitops": tfmp.cost(fixed, "bitops"),
        "equivalent_bits": equivalent_bits(search_model, bits),
        "bits": bits,
        "history": history,
    }


def searched(run):
    """Searches bits within the budget.

    Returns:
        The searched model, and for the record: its accuracy, the probabilities after every epoch, and the history.
    """
    config, seed = run.config, run.seed
    model, _ = float_model(config, seed, run.work_dir)
    data, (x_train, test) = datasets(config, seed)
    selection_data = None
    if config["selection_share"]:
        kept = round(len(x_train) * (1 - config["selection_share"]))
        held = x_train[kept:], data.labels[kept:]
        selection_data = tfmp.SelectionData(held, batch_size=config["batch_size"], seed=seed)
        data, _ = datasets(config, seed, num_train=kept)
    keras.utils.set_random_seed(seed)
    search_model = relaxed(model, config, seed, x_train)
    if config["initialize"]:
        found = tfmp.assign.by_sensitivity(search_model, x_train[:256], budget_of(config))
        tfmp.initialize_search(search_model, found, confidence=config["initialize"])
    multiplier = config["multiplier"]  # none is the scheduled one
    search = tfmp.MixedPrecisionSearch(
        **({"eta": config["eta"]} if config["eta"] else {"budget": budget_of(config)}),
        multiplier=None if config["eta"] or not multiplier else tfmp.search.DualAscent(**multiplier),
        temperature=tuple(config["temperature"]),
        backup_dir=run.backup_dir,
        selection_data=selection_data,
        freeze_above=config["freeze_above"],
    )
    weights = keras.optimizers.SGD(config["search_learning_rate"], momentum=0.9, nesterov=True)
    rate = config["selection_learning_rate"]
    selection = rate if isinstance(rate, str) else keras.optimizers.Adam(rate)  # a name, such as "scheduled"
    trained = _with_teacher(run, search_model)
    compile_model(trained, tfmp.SelectionOptimizer(weights, selection, ranges=None))
    records = EpochRecords(search, run.backup_dir)
    fit(trained, data, config["search_epochs"], callbacks=[search, records])
    compile_model(search_model, "sgd")
    return search_model, {
        "relaxed_accuracy": accuracy(search_model, test),
        "probabilities": records.evolution[config["search_epochs"]],
        "evolution": records.evolution,
        "history": records.history,
    }


def finetuned(run, search_model):
    """Discretizes a searched model and trains it at the chosen bits; returns what of the record is about that."""
    config, seed = run.config, run.seed
    data, (x_train, test) = datasets(config, seed)
    bits = discretized(search_model, config, seed, x_train)
    print(tfmp.BitAssignment(bits), flush=True)
    fixed = tfmp.fix(search_model, bits, calibration=x_train[:2048])
    compile_model(fixed, "sgd")
    discretized_accuracy = accuracy(fixed, test)
    epochs = config["finetune_epochs"]
    trained = _with_teacher(run, fixed)
    compile_model(trained, sgd(config["learning_rate"], epochs, len(data)))
    history = fit(trained, data, epochs, first_epoch=config["search_epochs"])
    compile_model(fixed, "sgd")
    return {
        "accuracy": accuracy(fixed, test),
        "discretized_accuracy": discretized_accuracy,
        "bitops": tfmp.cost(fixed, "bitops"),
        "equivalent_bits": equivalent_bits(search_model, bits),
        "bits": bits,
        "finetune_history": history,
    }


def _with_teacher(run, student):
    """The model to train: the student, or with a weight of distillation one that also learns from the float model."""
    weight = run.config["distillation_weight"]
    return (
        tfmp.distill(student, float_model(run.config, run.seed, run.work_dir)[0], weight=weight) if weight else student
    )


def _searched_path(run, name):
    return run.work_dir / run.results_dir.name / f"searched-{name}-seed{run.seed}.keras"


METHODS = {
    "float": run_float,
    "uniform": run_uniform,
    "mixed": run_mixed,
    "retrained": run_retrained,
    "search": run_search,
    "discretized": run_discretized,
}
