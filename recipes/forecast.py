"""Validates forecasts: predicted against realized gains of mixed bits, after training only.

    python -m recipes.forecast                                   # every network and budget
    python -m recipes.forecast --methods=mobilenet_v1-W4A8

For each network of `recipes.float_networks` and each uniform pair of bits, the sensitivities of 256 training images
predict the harm of uniform bits, of `depthwise_8` and of the best bits at the same cost. All three are then fixed with
`post_training=True` and compared with the float network on the test images. The predicted gain is the harm of uniform
bits over that of the best ones. The realized gain is the KL divergence of uniform bits over that of the best ones.

Every finished run leaves one JSON in `recipes/results/forecast/`; runs whose JSON exists are skipped. At the end, the
rank correlation (Spearman) of predicted and realized gains over all runs in that folder is printed.
"""

import json

import numpy as np

import tfmp
from recipes import classifier, experiment, float_networks
from recipes.datasets import cifar10
from recipes.sensitivities import calibration_images, sensitivity_of
from recipes.trained_tables import rank_correlation


def forecast(run):
    """Predicts and realizes the gain of one network at one budget."""
    config, pair = run.config, tuple(run.config["bits"])
    model = float_networks.load(config["network"], folder=config["float_results"])
    (x_train, _), (x_test, y_test) = cifar10.load_cifar10()
    images = classifier.normalized(calibration_images(x_train, config["num_calibration"], run.seed))
    test = classifier.normalized(x_test[: config["num_test"]]), y_test[: config["num_test"]]
    search_model = tfmp.relax(
        model,
        weight_bits=tuple(config["weight_candidates"]),
        activation_bits=tuple(config["activation_candidates"]),
        calibration=images,
    )
    sensitivity, seconds = sensitivity_of(search_model, images, run)
    budget = tfmp.Budget(config["cost"], like_uniform=pair)
    (row,) = sensitivity.forecast(budget).rows
    kinds = ["uniform", "ilp"] + ([] if row.depthwise_8 is None else ["depthwise_8"])
    assignments = {name: tfmp.assign.by_name(name, search_model, budget, sensitivity=sensitivity) for name in kinds}
    reference = _log_softmax(model, test[0])
    realized = {name: _realized(search_model, bits, images, test, reference) for name, bits in assignments.items()}
    harms = {name: sensitivity.harm(bits) for name, bits in assignments.items()}
    return {
        "network": config["network"],
        "bits": list(pair),
        "float_accuracy": float(np.mean(reference.argmax(-1) == test[1])),
        "predicted_harm": harms,
        "realized": realized,
        "predicted_gain": {name: harms[name] / harms["ilp"] for name in harms if name != "ilp"},
        "realized_gain": {
            name: each["divergence"] / realized["ilp"]["divergence"] for name, each in realized.items() if name != "ilp"
        },
        "verdict": row.verdict,
        "costs": {name: bits.costs for name, bits in assignments.items()},
        "assignments": {
            name: {key: list(value) for key, value in bits.bits.items()} for name, bits in assignments.items()
        },
        "sensitivity_seconds": seconds,
        "num_test": len(test[1]),
    }


def _realized(search_model, assignment, images, test, reference):
    """Returns divergence and accuracy on the test images of the network at an assignment, after training only."""
    logs = _log_softmax(tfmp.fix(search_model, assignment, calibration=images, post_training=True), test[0])
    return {
        "divergence": float(np.mean(np.sum(np.exp(reference) * (reference - logs), axis=-1))),
        "accuracy": float(np.mean(logs.argmax(-1) == test[1])),
    }


def _log_softmax(model, x):
    logits = np.asarray(model.predict(x, batch_size=500, verbose=0), np.float64)
    shifted = logits - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def show(folder, _):
    """Prints the gains of all finished runs and their rank correlation."""
    records = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    for record in records:
        for name, gain in record["predicted_gain"].items():
            realized, points = record["realized_gain"][name], record["realized"]
            difference = 100 * (points["ilp"]["accuracy"] - points[name]["accuracy"])
            print(
                f"{record['network']:<14} W{record['bits'][0]}A{record['bits'][1]} over {name:<11} "
                f"predicted {gain:6.2f}  realized {realized:6.2f}  accuracy {difference:+.2f} points"
            )
    correlation, p_value, count = rank_correlation(records)
    if correlation is not None:
        print(f"rank correlation {correlation:.3f} (p = {p_value:.2g}) of {count} pairs")


METHODS = {"forecast": forecast}

if __name__ == "__main__":
    experiment.main("forecast", METHODS, finish=show)
