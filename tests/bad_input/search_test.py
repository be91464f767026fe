"""Bad input of `tfmp.search`, `tfmp.tuner` and `tfmp.networks`, nothing of which is trained."""

import keras
import numpy as np
import pytest

import tfmp
from tests.bad_input import rows as kinds
from tests.bad_input.rows import check_refused, choice, given, instance, rows
from tfmp import joint, networks, search, tuner

SPACE = joint.SearchSpace([(8, 1, 1)], image_size=8, num_classes=10, stem=(8, 1), last_channels=16)
NETWORK = joint.DiscreteNetwork(SPACE, [joint.BlockSpec(False, 3, 5, 8, 4)])
DATA = np.zeros((8, 4), np.float32), np.zeros(8)
PROBABILITY = ValueError, "a finite number at least 0", [-0.1, kinds.NAN, "1", True]
BUDGET = TypeError, "a list of `tfmp.Budget`, or one", [3, "bitops", [], kinds.THING]
FUNCTION = [None, 3, "function", []]


def dense():
    model = keras.Sequential([keras.Input((4,)), *(keras.layers.Dense(2, name=name) for name in "abc")])
    return {"model": model, "training": tuner.Training("mse")}


def dual():
    model = dense()["model"]
    return {"build": lambda width: model, "training": tuner.Training("mse")}


ROWS = [
    *rows("Budget", tfmp.Budget, {"cost": "bitops"}, limit=given(kinds.POSITIVE_NUMBER)),
    *rows("Budget", tfmp.Budget, {"cost": "bitops"}, like_uniform=given(kinds.PAIR_OF_BITS)),
    *rows("Budget", tfmp.Budget, {"limit": 1.0}, cost=(TypeError, "the name of a cost", [None, 3, []])),
    *rows(
        "MixedPrecisionSearch",
        tfmp.MixedPrecisionSearch,
        {"budget": tfmp.Budget("bitops", like_uniform=(2, 2))},
        budget=BUDGET,
        multiplier=(TypeError, "a `tfmp.search.Multiplier`", [3, "ascent", []]),
        temperature=(ValueError, "two finite numbers above 0", [(kinds.INFINITY, 1), (1, 0), (1,), 1, "11", None]),
        backup_dir=(TypeError, "a path", [3, [], b"x"]),
        steps=(ValueError, "a positive integer", [0, -1, 1.5, True, "3"]),
        freeze_above=(ValueError, "a finite number above 0.5 and below 1", [0.5, 1, kinds.NAN, "0.9", True]),
    ),
    *rows("search", tfmp.MixedPrecisionSearch, {}, eta=given(kinds.NOT_NEGATIVE)),
    *rows("search", tfmp.MixedPrecisionSearch, {"eta": 1.0}, cost=(ValueError, "one of 'flops'", ["watts", ""])),
    *rows("FixedMultiplier", search.FixedMultiplier, {}, eta=kinds.NOT_NEGATIVE),
    *rows("DualAscent", search.DualAscent, {}, learning_rate=kinds.POSITIVE_NUMBER, damping=kinds.NOT_NEGATIVE),
    *rows(
        "JointSettings",
        joint.JointSettings,
        {},
        order=choice("first", "second"),
        penalty=kinds.NOT_NEGATIVE,
        two_sided=kinds.FLAG,
        temperature=kinds.POSITIVE_NUMBER,
        temperature_decay=kinds.NOT_NEGATIVE,
        weight_epochs=kinds.NATURAL,
        samples=choice("soft", "hard"),
    ),
    *rows(
        "JointSearch",
        tfmp.joint.JointSearch,
        {"space": SPACE, "target": 1e6},
        space=instance("a `tfmp.joint.SearchSpace`"),
        target=kinds.POSITIVE_NUMBER,
        settings=(TypeError, "`tfmp.joint.JointSettings`", [3, {}, "fast"]),
        loss=(TypeError, "a function of labels and logits", [3, "mse", []]),
        backup_dir=(TypeError, "a path", [3, [], b"x"]),
    ),
    *rows(
        "Oracle",
        joint.Oracle,
        {"function": len},
        function=(TypeError, "a function of a `DiscreteNetwork`", FUNCTION),
        workers=kinds.NATURAL,
        retries=kinds.NATURAL,
        timeout_seconds=given(kinds.POSITIVE_NUMBER),
        cache_path=(TypeError, "a path", [3, [], b"x"]),
    ),
    *rows(
        "Reinforce",
        joint.Reinforce,
        {"space": SPACE, "oracle": len},
        space=instance("a `tfmp.joint.SearchSpace`"),
        samples=kinds.POSITIVE_INTEGER,
        baseline=choice("none", "moving_average", "leave_one_out"),
        momentum=PROBABILITY,
    ),
    *rows("Categoricals", joint.Categoricals, {}, space=instance("a `tfmp.joint.SearchSpace`")),
    *rows(
        "SelectionData",
        tfmp.SelectionData,
        {"data": DATA},
        batch_size=kinds.POSITIVE_INTEGER,
        every=kinds.POSITIVE_INTEGER,
        seed=kinds.NATURAL,
    ),
    *rows(
        "SelectionOptimizer",
        tfmp.SelectionOptimizer,
        {},
        weights=(ValueError, "an optimizer of `keras.optimizers`", [None, 3, "wrong", "", [], {}, kinds.THING]),
        selection=(ValueError, "an optimizer of `keras.optimizers`", [None, 3, "wrong"]),
        ranges=(ValueError, "an optimizer of `keras.optimizers`", [3, "wrong", {"a": 1}]),
    ),
    *rows(
        "Training",
        tuner.Training,
        {"loss": "mse"},
        loss=(TypeError, "a loss, its name or a function", [3, kinds.NAN, kinds.THING, True]),
        search_epochs=kinds.POSITIVE_INTEGER,
        finetune_epochs=kinds.NATURAL,
        float_epochs=kinds.NATURAL,
        float_learning_rate=kinds.POSITIVE_NUMBER,
        metrics=(TypeError, "a list of metrics", [None, 3, "accuracy", {}]),
        optimizer=(TypeError, "a function of the learning rate", [3, "adam", []]),
    ),
    *rows(
        "BudgetRange",
        tuner.BudgetRange,
        {"cost": "bitops"},
        cost=(TypeError, "the name of a cost", [None, 3, []]),
    ),
    *rows(
        "new_oracle",
        tuner.new_oracle,
        {"name": "grid", "objective": "val_accuracy"},
        name=choice("grid", "random", "bayesian", "hyperband"),
        objective=(TypeError, "the name of a metric or an `Objective`", [None, 3, []]),
        max_trials=given(kinds.POSITIVE_INTEGER),
        max_epochs=given(kinds.POSITIVE_INTEGER),
        seed=given(kinds.NATURAL),
    ),
    *rows(
        "register_strategy",
        tuner.register_strategy,
        {"name": "never", "strategy": len},
        name=kinds.TEXT,
        strategy=(TypeError, "a function of a `TrialRun`", FUNCTION),
    ),
    *rows(
        "MixedPrecisionHyperModel",
        tuner.MixedPrecisionHyperModel,
        dense,
        training=instance("a `tfmp.tuner.Training`"),
        seed=kinds.NATURAL,
        choices=(TypeError, "a mapping of names to values", [3, "width", []]),
        budgets=(TypeError, "a list of `tfmp.Budget`", [3, "bitops", {}]),
        strategies=(TypeError, "a list of names or functions", [None, 3, {}]),
    ),
    *rows(
        "DualPrecisionHyperModel",
        tuner.DualPrecisionHyperModel,
        dual,
        training=instance("a `tfmp.tuner.Training`"),
        weight_bits=kinds.LIST_OF_BITS_8,
        depthwise_bits=kinds.LIST_OF_BITS_8,
        activation_bits=kinds.BITS_8,
        sizes=(ValueError, "finite numbers above 0", [(), (0,), (kinds.NAN,), ("1",), None]),
        seed=kinds.NATURAL,
    ),
    *rows("TuningResults", tuner.TuningResults, {}, folder=[kinds.PATH, kinds.NO_PATH]),
    *rows(
        "WorkerPool",
        tuner.WorkerPool,
        {"command": ["never"], "num_workers": 1},
        command=(TypeError, "a list, the program and its arguments", [None, 3, "python tune.py"]),
        num_workers=kinds.POSITIVE_INTEGER,
        restarts=kinds.NATURAL,
    ),
    *rows("get", networks.get, {}, name=choice(*networks.names())),
    *rows(
        "resnet8",
        networks.get("resnet8"),
        {"keras": keras},
        keras=instance("the module `keras` or `tf_keras`"),
        image_size=kinds.POSITIVE_INTEGER,
        num_classes=kinds.POSITIVE_INTEGER,
        width=kinds.POSITIVE_NUMBER,
    ),
    *rows(
        "build_network",
        tfmp.joint.build_network,
        {"keras": keras, "network": NETWORK},
        keras=instance("the module `keras` or `tf_keras`"),
        network=instance("a `tfmp.joint.DiscreteNetwork`"),
    ),
]


@pytest.mark.parametrize(("call", "good", "argument", "value", "error", "words"), ROWS)
def test_what_is_wrong_is_named(call, good, argument, value, error, words):
    check_refused(call, good, argument, value, error, words)


def test_folders_of_no_tuning_and_losses_of_no_keras():
    with pytest.raises(FileNotFoundError, match="Expected the folder of a tuner.* Received: 'no/such'"):
        tuner.TuningResults("no/such")
    for training, message in [
        (tuner.Training("foo"), "`loss` must be known by keras.* Received: 'foo'"),
        (tuner.Training("mse", metrics=("foo",)), "`metrics` must be known by keras.* Received: 'foo'"),
    ]:
        with pytest.raises(ValueError, match=message):
            tuner.MixedPrecisionHyperModel(dense()["model"], training=training)
