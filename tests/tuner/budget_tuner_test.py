import json
import math
import pathlib
import re

import keras
import keras_tuner
import numpy as np
import pytest
import tensorflow as tf

import tfmp
from tests.tuner import tiny_experiment as tiny
from tfmp.tuner import BudgetTuner, TuningResults, register_strategy

pytestmark = pytest.mark.usefixtures("eagerly")

FLAKY = {"raise": False}


def flaky(run):
    if FLAKY["raise"] and run.budget.like_uniform == (1, 1):
        raise ValueError("the data are gone")
    return run.float_model, None


WATCHED = []


def watched(run):
    model, begin = run.relaxed(), []

    def trainable(logs=None):
        return [np.array(variable) for variable in model.trainable_variables]

    run.callbacks = lambda: [keras.callbacks.LambdaCallback(on_train_begin=lambda logs: begin.extend(trainable()))]
    run.search(model)
    WATCHED.append((run.start, begin, trainable()))
    return run.float_model, None


register_strategy("flaky", flaky)
register_strategy("watched", watched)


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    """A tuner with a searched and a uniform trial at W2A2, each with another structure, and its arguments."""
    directory = tmp_path_factory.mktemp("tuned")
    hypermodel = tiny.hypermodel(budgets=tiny.BUDGETS[1:], strategies=["mixed", "uniform"])
    tuner = BudgetTuner(hypermodel, directory=directory)
    board = keras.callbacks.TensorBoard(directory / "logs")
    tiny.search(tuner, callbacks=[board])
    return tuner, directory


def test_every_trial_leaves_a_network_that_meets_its_budget(tuned):
    tuner, _ = tuned
    records = tuner.records()
    assert [record.status for record in records] == ["completed"] * 2
    relaxed = tfmp.relax(tiny.build(), **tiny.BITS)
    limit = tfmp.cost(relaxed, "bitops", {"middle": (2, 2)})
    for record in records:
        assert set(record.bits) == {"middle"} and record.metrics["bitops"] <= limit
        model = tuner.model(record.trial_id)
        layer = model.get_layer("middle")
        assert (layer.weight_bits[0], layer.activation_bits[0]) == tuple(record.bits["middle"])


def test_what_is_recorded_is_what_the_saved_network_has(tuned):
    tuner, _ = tuned
    _, validation = tiny.data()
    for record in tuner.records():
        model = tuner.model(record.trial_id)
        names = {"bitops": "bitops", "model_size_bits": "model_size", "tflite_bytes": "tflite_bytes"}
        names |= {"energy_nj": "energy", "latency_cycles": "simulated_latency"}
        for quantity, cost in names.items():
            assert record.metrics[quantity] == pytest.approx(tfmp.cost(model, cost), rel=1e-9), quantity
        accuracy = float(np.mean(np.asarray(model(validation[0])).argmax(1) == validation[1]))
        assert record.metrics["val_accuracy"] == pytest.approx(accuracy, abs=1e-6)
        assert tfmp.simulate(model).total.energy_nj["total"] == pytest.approx(record.metrics["energy_nj"])


def test_pareto_takes_any_two_quantities(tuned):
    tuner, directory = tuned
    front = tuner.pareto(x="energy_nj", y="val_accuracy")
    assert {point["id"] for point in front.points} == {record.trial_id for record in tuner.records()}
    assert {point["strategy"] for point in front.points} == {"mixed", "uniform"}
    assert front.hypervolume((1e12, 0.0)) > 0 and len(front.where(strategy="mixed").points) == 1
    assert tuner.pareto(x="seconds", y="val_loss", y_direction="min").front
    assert tuner.pareto().to_csv().count("\n") == 3
    later = TuningResults(directory / "budgets")
    assert later.pareto(x="energy_nj").points == front.points and later.model(front.points[0]["id"])
    with pytest.raises(ValueError, match="Trials recorded .*bitops.*Received: 'energy'"):
        tuner.pareto(x="energy")


def test_keras_tuner_sees_trials_and_models(tuned):
    tuner, directory = tuned
    best = tuner.oracle.get_best_trials(1)[0]
    assert best.score == pytest.approx(max(record.metrics["val_accuracy"] for record in tuner.records()))
    assert best.metrics.get_best_value("bitops") == tuner.project.record(best.trial_id).metrics["bitops"]
    assert tuner.get_best_models()[0].get_layer("middle").weight_bits
    assert len(tuner.hypermodel.build(tuner.get_best_hyperparameters()[0]).get_layer("middle").weight_bits) == 2
    assert sorted(path.name for path in (directory / "logs").iterdir()) == ["0000", "0001"]


def test_tensorboard_shows_hyperparameters_and_costs(tuned):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    _, directory = tuned
    folder = directory / "logs" / "0001" / "execution0"
    events = EventAccumulator(str(folder))
    events.Reload()
    assert "_hparams_/session_start_info" in events.PluginTagToContent("hparams")
    assert {"bitops", "energy_nj", "val_accuracy"} <= set(events.Tags()["tensors"])


def test_tensorboard_shows_the_front(tuned, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    tuner, _ = tuned
    on_front = tuner.to_tensorboard(tmp_path, x="energy_nj")
    assert on_front == tuple(point["id"] for point in tuner.pareto(x="energy_nj").front)
    for record in tuner.records():
        events = EventAccumulator(str(tmp_path / record.trial_id))
        events.Reload()
        (content,) = events.PluginTagToContent("hparams").values()
        shown = HParamsPluginData.FromString(content).session_start_info.hparams
        assert shown["strategy"].string_value == record.strategy and shown["budget"].string_value == record.budget
        assert shown["on_front"].bool_value == (record.trial_id in on_front)
        for name, value in record.metrics.items():
            (point,) = events.Tensors(name)
            assert tf.make_ndarray(point.tensor_proto) == pytest.approx(value)
    with pytest.raises(FileExistsError, match="which has files"):
        tuner.to_tensorboard(tmp_path)
    with pytest.raises(ValueError, match="Received: 'energy'"):
        tuner.to_tensorboard(tmp_path / "other", x="energy")
    assert not (tmp_path / "other").exists()


def test_started_again_it_repeats_nothing_and_takes_up_what_was_not_reached(tmp_path):
    def tuner(max_trials):
        return BudgetTuner(tiny.hypermodel(strategies=["untrained"]), directory=tmp_path, max_trials=max_trials)

    tiny.search(tuner(1))
    path = tmp_path / "budgets" / "trial_0" / "record.json"
    before = path.read_text()
    resumed = tuner(2)
    tiny.search(resumed)
    assert path.read_text() == before and len(resumed.records()) == 2
    assert [record.budget for record in resumed.records()] == ["bitops like 1,1", "bitops like 2,2"]
    (x, y), validation = tiny.data()
    with pytest.raises(ValueError, match=r"belongs to another experiment. training.x: 'float32 \[64, 4\]"):
        resumed.search(2 * x, y, validation_data=validation)


def test_a_trial_that_fails_is_recorded_and_the_search_goes_on(tmp_path, monkeypatch):
    monkeypatch.setitem(FLAKY, "raise", True)
    tuner = BudgetTuner(tiny.hypermodel(strategies=["flaky"]), directory=tmp_path)
    tiny.search(tuner)
    first, second = tuner.records()
    assert (first.status, first.reason) == ("failed", "ValueError: the data are gone")
    assert second.status == "completed" and len(tuner.pareto().points) == 1
    assert tuner.oracle.trials[first.trial_id].status == "FAILED"
    with pytest.raises(ValueError, match="Trial 0000 failed and left no model: ValueError: the data are gone"):
        tuner.model(first.trial_id)
    with pytest.raises(ValueError, match="Expected the id of a finished trial, of 0001. Received: 'best'"):
        tuner.model("best")


def test_a_loss_that_is_not_finite_is_the_reason(tmp_path):
    hypermodel = tiny.hypermodel(budgets=tiny.BUDGETS[1:], choices={"search_learning_rate": math.inf})
    tuner = BudgetTuner(hypermodel, directory=tmp_path)
    tiny.search(tuner, batch_size=16)
    (record,) = tuner.records()
    assert record.status == "failed" and re.search(
        "In the search: The loss is nan in batch . of epoch 1", record.reason
    )


@pytest.mark.slow
def test_a_search_starts_from_its_neighbour(tmp_path):
    tuner = BudgetTuner(tiny.hypermodel(strategies=["watched"]), directory=tmp_path, warm_start=True)
    tiny.search(tuner)
    (first_start, _, first_end), (second_start, second_begin, _) = WATCHED
    assert first_start is None and str(second_start).endswith("trial_0000/search.weights.h5")
    assert all(np.array_equal(a, b) for a, b in zip(first_end, second_begin, strict=True))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param({"budgets": tiny.BUDGETS[:1]}, "hypermodel.space.budgets: .*then, .*now", id="budgets"),
        pytest.param(
            {"choices": {"learning_rate": [0.1, 0.2]}}, "hypermodel.space.learning_rate: '0.001' then", id="new"
        ),
        pytest.param({"finetune_epochs": 2}, "hypermodel.training.finetune_epochs: 1 then, 2 now", id="training"),
        pytest.param({"model": tiny.build(1.0)}, "hypermodel.weights: None then", id="model"),
    ],
)
def test_the_folder_of_another_experiment_is_left_alone(tmp_path_factory, arguments, message):
    directory = tmp_path_factory.getbasetemp() / "one_experiment"
    BudgetTuner(tiny.hypermodel(), directory=directory)
    before = {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}
    with pytest.raises(ValueError, match=f"belongs to another experiment.*{message}"):
        BudgetTuner(tiny.hypermodel(**arguments), directory=directory)
    assert before == {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_a_hypermodel_without_budgets_needs_minimize(tmp_path):
    with pytest.raises(ValueError, match="has no `budgets`.*`minimize=`"):
        BudgetTuner(tiny.hypermodel(budgets=None), directory=tmp_path)
    assert not any(tmp_path.iterdir())


def test_overwrite_begins_anew(tmp_path):
    tiny.search(BudgetTuner(tiny.hypermodel(strategies=["untrained"]), directory=tmp_path, max_trials=1))
    other = tiny.hypermodel(strategies=["untrained"], budgets=tiny.BUDGETS[1:])
    tuner = BudgetTuner(other, directory=tmp_path, overwrite=True)
    assert tuner.records() == [] and not tuner.oracle.trials
    assert list(json.loads((tmp_path / "budgets" / "experiment.json").read_text()))[:2] == ["format", "version"]


def test_a_change_of_the_current_folder_does_not_split_a_tuning(tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    tuner = BudgetTuner(tiny.hypermodel(strategies=["untrained"]), directory="tuning", max_trials=1)
    monkeypatch.chdir("elsewhere")
    tiny.search(tuner)
    assert len(tuner.records()) == 1 and not any(pathlib.Path().iterdir())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["elsewhere", "tuning"]


def test_one_process_at_a_time_searches(tmp_path):
    tuner = BudgetTuner(tiny.hypermodel(strategies=["untrained"]), directory=tmp_path)
    with tuner.project.locks.searching(), pytest.raises(ValueError, match="Another process searches in the folder"):
        tiny.search(tuner)
    assert not tuner.records()


def test_wrong_arguments(tmp_path):
    hypermodel, (x, y), validation = tiny.hypermodel(), *tiny.data()
    oracle = keras_tuner.oracles.RandomSearchOracle("val_accuracy")
    for arguments, message in [
        ({"minimize": "bitops"}, "`minimize` needs `max_accuracy_drop`"),
        ({"oracle": oracle, "max_trials": 3}, "Give `max_trials` to the oracle"),
    ]:
        with pytest.raises(ValueError, match=message):
            BudgetTuner(hypermodel, directory=tmp_path, **arguments)
    with pytest.raises(TypeError, match="Received: loss.*tfmp.tuner.Training"):
        BudgetTuner(hypermodel, directory=tmp_path, loss="mse")
    with pytest.raises(TypeError, match="must be a `MixedPrecisionHyperModel`"):
        BudgetTuner(tiny.build, directory=tmp_path)
    tuner = BudgetTuner(hypermodel, directory=tmp_path)
    with pytest.raises(ValueError, match="needs `validation_data`"):
        tuner.search(x, y)
    with pytest.raises(ValueError, match="`epochs` is not an argument"):
        tuner.search(x, y, validation_data=validation, epochs=3)
    with pytest.raises(TypeError, match="can be read more than once"):
        tuner.search(iter([(x, y)]), validation_data=validation)
    with pytest.raises(ValueError, match="needs a tuner with `minimize`"):
        tuner.smallest()
    assert not tuner.records()
