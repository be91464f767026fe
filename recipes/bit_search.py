"""The methods that recipes compare: uniform bits, searched bits, given bits; all from the same float weights."""

import keras
import numpy as np

import tfmp
from recipes.classifier import (
    accuracy,
    compile_model,
    datasets,
    fit,
    float_model,
    float_name,
    train,
)

NAMING = {"float": float_name}


def run_float(run):
    """Trains in floating point."""
    model, history = float_model(run.config, run.seed, run.work_dir)
    _, (_, test) = datasets(run.config, run.seed)
    return {"accuracy": accuracy(model, test), "history": history}


def relaxed(model, config, seed, x_train):
    """The relaxed model of a configuration."""
    return tfmp.relax(
        model,
        weight_bits=tuple(config["weight_bits"]),
        activation_bits=tuple(config["activation_bits"]),
        quantizer=config["quantizer"],
        relaxation=config["relaxation"],
        shared_range=config["shared_range"],
        calibration=x_train[:512],
        seed=seed,
    )


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
    return {"accuracy": final, "bitops": tfmp.cost(uniform, "bitops"), "history": history}


def run_mixed(run):
    """Searches, fixes and fine-tunes."""
    config, seed = run.config, run.seed
    model, _ = float_model(config, seed, run.work_dir)
    data, (x_train, test) = datasets(config, seed)
    keras.utils.set_random_seed(seed)
    search_model = relaxed(model, config, seed, x_train)
    search = tfmp.MixedPrecisionSearch(
        budget=tfmp.Budget("bitops", like_uniform=tuple(config["uniform_bits"])),
        multiplier=tfmp.search.DualAscent(**config["multiplier"]),
        temperature=tuple(config["temperature"]),
        backup_dir=run.backup_dir,
    )
    epochs = config["search_epochs"]
    weights = keras.optimizers.SGD(config["search_learning_rate"], momentum=0.9, nesterov=True)
    selection = keras.optimizers.Adam(config["selection_learning_rate"])
    compile_model(search_model, tfmp.SelectionOptimizer(weights, selection))
    history = fit(search_model, data, epochs, callbacks=[search])
    relaxed_accuracy = accuracy(search_model, test)
    assignment = tfmp.discretize(search_model, strategy="budget", budget=search.budget)
    probabilities = {name: [p.tolist() for p in pair] for name, pair in search.probabilities().items()}
    print(
        assignment, {name: [np.round(p, 2).tolist() for p in pair] for name, pair in probabilities.items()}, flush=True
    )
    fixed = tfmp.fix(search_model, assignment, calibration=x_train[:2048])
    compile_model(fixed, "sgd")
    discretized_accuracy = accuracy(fixed, test)
    finetuned, final = train(fixed, data, test, config["finetune_epochs"], config["learning_rate"], first_epoch=epochs)
    return {
        "accuracy": final,
        "relaxed_accuracy": relaxed_accuracy,
        "discretized_accuracy": discretized_accuracy,
        "bitops": tfmp.cost(fixed, "bitops"),
        "bits": {name: list(pair) for name, pair in assignment.bits.items()},
        "probabilities": probabilities,
        "history": history,
        "finetune_history": finetuned,
    }


def run_retrained(run):
    """Trains the bits that `mixed` found from the float weights, exactly as `uniform` trains its own."""
    config, seed = run.config, run.seed
    bits = {name: tuple(pair) for name, pair in run.result_of("mixed")["bits"].items()}
    model, _ = float_model(config, seed, run.work_dir)
    data, (x_train, test) = datasets(config, seed)
    keras.utils.set_random_seed(seed)
    fixed = tfmp.fix(relaxed(model, config, seed, x_train), bits, calibration=x_train[:2048])
    epochs = config["search_epochs"] + config["finetune_epochs"]
    history, final = train(fixed, data, test, epochs, config["learning_rate"])
    return {"accuracy": final, "bitops": tfmp.cost(fixed, "bitops"), "bits": bits, "history": history}


METHODS = {"float": run_float, "uniform": run_uniform, "mixed": run_mixed, "retrained": run_retrained}
