import functools

import keras
import numpy as np
import pytest

import tfmp
from tests.tuner import tiny_experiment as tiny
from tfmp.tuner import DualPrecision, DualPrecisionHyperModel
from tfmp.tuner.project import Project

pytestmark = pytest.mark.usefixtures("eagerly")


def network(width, depthwise=True):
    channels = max(1, round(8 * width))
    inputs = x = keras.Input((4, 4, 3))
    x = keras.layers.Conv2D(channels, 1, name="first")(x)
    x = keras.layers.DepthwiseConv2D(2, name="depthwise")(x) if depthwise else x
    x = keras.layers.Conv2D(channels, 2, name="middle")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, keras.layers.Dense(2, name="last")(x))


def kernel_bits(width, weight_bits, depthwise_bits):
    channels = max(1, round(8 * width))
    return 8 * (3 * channels + 2 * channels) + depthwise_bits * 4 * channels + weight_bits * 4 * channels**2


def data():
    x = np.random.default_rng(0).normal(size=(32, 4, 4, 3)).astype(np.float32)
    y = (x.mean((1, 2, 3)) > 0).astype(np.int64)
    return {"x": x, "y": y, "validation_data": (x, y), "batch_size": 32, "verbose": 0}


def hypermodel(build=network, **arguments):
    return DualPrecisionHyperModel(
        build,
        training=tiny.training(search_epochs=1, finetune_epochs=0),
        **{"weight_bits": (1, 8), "sizes": (1.0,), "choices": {"tolerance": 0.2}, **arguments},
    )


@pytest.fixture(scope="module")
def selection(tmp_path_factory):
    found = DualPrecision(hypermodel(), sizes=(0.5, 2.0), directory=tmp_path_factory.mktemp("selection"))
    found.search(**data())
    return found


def test_all_pairs_are_trained_at_one_size_and_the_best_at_the_others(selection):
    grid = selection.tuner("precisions").records()
    pairs = [(record.values["weight_bits"], record.values["depthwise_bits"]) for record in grid]
    assert sorted(pairs) == [(1, 1), (1, 8), (8, 1), (8, 8)]
    best = max(grid, key=lambda record: record.metrics["val_accuracy"])
    assert selection.chosen == (best.values["weight_bits"], best.values["depthwise_bits"])
    sizes = selection.tuner("sizes").records()
    assert sorted(record.values["size_of"] for record in sizes) == [0.5, 2.0]
    assert {(r.values["weight_bits"], r.values["depthwise_bits"]) for r in sizes} == {selection.chosen}
    for record in [*grid, *sizes]:
        pair = record.values["weight_bits"], record.values["depthwise_bits"]
        size = record.metrics["model_size_bits:kernels_only=true"]
        assert size == kernel_bits(record.metrics["width"], *pair) < record.metrics["model_size_bits"]
        target = kernel_bits(record.values["size_of"], 8, 8)
        assert record.limit == target
        assert size == pytest.approx(target, rel=0.2)
    stages = [point["stage"] for point in selection.pareto().points]
    assert stages == ["precisions"] * 4 + ["sizes-{}-{}".format(*selection.chosen)] * 2


def test_networks_of_trials_have_the_bits_that_were_trained(selection):
    record = selection.tuner("precisions").records()[1]
    model = selection.tuner("precisions").model(record.trial_id)
    bits = {name: model.get_layer(name).weight_bits for name in ("first", "depthwise", "middle", "last")}
    pair = record.values["weight_bits"], record.values["depthwise_bits"]
    assert bits == {"first": (8,), "depthwise": (pair[1],), "middle": (pair[0],), "last": (8,)}
    x, y = data()["validation_data"]
    accuracy = np.mean(np.asarray(model(x)).argmax(1) == y)
    assert accuracy == pytest.approx(record.metrics["val_accuracy"])


def test_what_is_finished_is_not_trained_again(selection):
    again = DualPrecision(hypermodel(), sizes=(0.5, 2.0), directory=selection._directory)
    before = [record.seconds for stage in ("precisions", "sizes") for record in selection.tuner(stage).records()]
    again.search(**data())
    assert before == [record.seconds for stage in ("precisions", "sizes") for record in again.tuner(stage).records()]


def test_widths_are_found_before_the_first_training(tmp_path):
    found = DualPrecision(hypermodel(choices={"tolerance": 1e-6}), sizes=(), directory=tmp_path)
    message = "^1 bits and 1 in depthwise convolutions, at the size of width 1: .* The nearest sizes are .* `tolerance`"
    with pytest.raises(ValueError, match=message):
        found.search(**data())
    assert not found.tuner("precisions").records()


@pytest.mark.slow
def test_networks_without_depthwise_convolutions_have_one_axis(tmp_path):
    model = network(1.0, depthwise=False)
    build = functools.partial(tfmp.width.scale_width, model)  # an existing model
    found = DualPrecision(hypermodel(build, weight_bits=(1, 4)), sizes=(2.0,), directory=tmp_path)
    assert not found.hypermodel.has_depthwise
    assert found.hypermodel.space_size == 2
    with pytest.raises(ValueError, match="run the stage 'precisions' first"):
        found.search(**data(), stage="sizes")
    found.search(**data(), stage="precisions")
    assert found.chosen[0] in (1, 4) and found.chosen[1] is None


def test_clearing_leaves_what_is_not_its_own(tmp_path):
    own, other, notes = ("precisions", "sizes-1-8"), tmp_path / "first", tmp_path / "sizes-notes" / "notes.txt"
    for folder in (*(tmp_path / name for name in own), other):
        Project(folder).open({})
    notes.parent.mkdir()
    notes.write_text("years")
    DualPrecision(hypermodel(), directory=tmp_path).clear()
    assert not any(Project(tmp_path / name).is_experiment for name in own)
    assert Project(other).is_experiment and notes.read_text() == "years"


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"build": network(1.0)}, TypeError, "must be a function of a width multiplier; for an existing model"),
        ({"weight_bits": ()}, ValueError, "`weight_bits` must be one or more integers from 1 to 8. Received: ..$"),
        ({"sizes": (1.0, 1.0)}, ValueError, "one or more different size_of"),
        ({"choices": {"epochs": 3}}, TypeError, "`choices` can be learning_rate and tolerance. Received: epochs"),
        ({"build": lambda width: keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])}, ValueError, "no layer"),
    ],
    ids=["model", "bits", "sizes", "choices", "nothing"],
)
def test_wrong_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        hypermodel(**arguments)


def test_other_hypermodels_and_stages(tmp_path):
    with pytest.raises(TypeError, match="must be a `DualPrecisionHyperModel`"):
        DualPrecision(tiny.hypermodel())
    with pytest.raises(ValueError, match="must be one of None, 'precisions', 'sizes'"):
        DualPrecision(hypermodel(), directory=tmp_path).search(**data(), stage="both")
