"""Models inside models: one flat graph, and the same nesting when it is written again."""

import dataclasses

import keras
import numpy as np
import pytest
from keras import layers as kl

import tfmp
from tests.transform.small_networks import outputs_of, trained
from tfmp.bindings.keras3.keras3_framework import Keras3Framework

KERAS_3 = Keras3Framework()


def backbone(name="backbone"):
    """A residual block: its sum needs stored tensors."""
    x = inputs = keras.Input((8, 8, 3), name="image")
    x = kl.Conv2D(4, 3, padding="same", use_bias=False, name="conv1")(x)
    x = skip = kl.ReLU(name="relu")(kl.BatchNormalization(name="norm")(x))
    x = kl.Conv2D(4, 3, padding="same", name="conv2")(x)
    return keras.Model(inputs, kl.ReLU(name="out")(kl.Add(name="add")([x, skip])), name=name)


def classifier(x, name="head"):
    return kl.Dense(3, name=name)(kl.GlobalAveragePooling2D(name=f"{name}_average")(x))


def functional():
    inputs = keras.Input((8, 8, 3), name="image")
    return keras.Model(inputs, classifier(backbone()(inputs, training=False)), name="functional")


def three_levels():
    inner = keras.Input((8, 8, 3))
    middle = keras.Model(inner, kl.Conv2D(4, 1, activation="relu", name="conv1")(backbone()(inner)), name="middle")
    inputs = keras.Input((8, 8, 3), name="image")
    return keras.Model(inputs, classifier(middle(inputs)), name="three_levels")


def in_sequential():
    top = keras.Sequential([kl.Flatten(name="flatten"), kl.Dense(4, activation="relu", name="conv1")], name="top")
    return keras.Sequential([keras.Input((8, 8, 3)), backbone(), top, kl.Dense(3, name="head")], name="in_sequential")


def siamese():
    """One encoder, two calls: the sum reads one output, a convolution the other."""
    left, right = keras.Input((8, 8, 3), name="left"), keras.Input((8, 8, 3), name="right")
    encoder = backbone("encoder")
    x, y = encoder(left), encoder(right)
    y = kl.Conv2D(4, 1, activation="relu", name="only_right")(y)
    return keras.Model({"left": left, "right": right}, classifier(kl.Add(name="sum")([x, y])), name="siamese")


def several_in_and_out():
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    x = kl.Dense(5, activation="relu", name="first")(kl.Concatenate(name="both")([a, b]))
    inner = keras.Model({"a": a, "b": b}, {"z": kl.Dense(3, name="second")(x), "y": x, "a": a}, name="inner")
    left, right = keras.Input((4,), name="left"), keras.Input((4,), name="right")
    found = inner({"b": left, "a": kl.Dense(4, name="before")(right)})
    x = kl.Concatenate(name="all")([found["a"], found["y"]])
    return keras.Model([left, right], [kl.Dense(2, name="head")(x), found["z"]], name="several_in_and_out")


def several_between():
    """Sequential, with two tensors between its layers."""
    inputs = keras.Input((4,), name="image")
    x = kl.Dense(3, activation="relu", name="left")(inputs)
    fork = keras.Model(inputs, [x, kl.Dense(2, name="right")(inputs)], name="fork")
    return keras.Sequential([keras.Input((4,)), fork, kl.Concatenate(name="join"), kl.Dense(2, name="head")])


def shared_with_a_part():
    """A layer of the backbone that the model around it calls too, and a backbone that another holds as well."""
    inputs = keras.Input((8, 8, 3), name="image")
    whole = backbone()
    around = keras.Model(inputs, kl.ReLU(name="last")(whole(inputs)), name="around")
    inputs = keras.Input((8, 8, 3), name="image")
    parts = [around(inputs), whole(inputs), whole.get_layer("conv1")(inputs)]
    return keras.Model(inputs, classifier(kl.Concatenate(name="all")(parts)), name="shared_with_a_part")


MODELS = [functional, three_levels, in_sequential, siamese, several_in_and_out, several_between, shared_with_a_part]


def samples(model, count=16, seed=1):
    rng = np.random.default_rng(seed)
    inputs = model.inputs if isinstance(model, keras.Sequential) else model.input
    inputs = inputs[0] if isinstance(inputs, list) and len(inputs) == 1 else inputs
    return keras.tree.map_structure(lambda t: rng.normal(size=(count, *t.shape[1:])).astype(np.float32), inputs)


def layers_of(model, prefix=""):
    """Path to layer, by walking the models themselves."""
    found = {}
    for layer in model.layers:
        nested = isinstance(layer, keras.Model)
        found |= layers_of(layer, f"{prefix}{layer.name}/") if nested else {f"{prefix}{layer.name}": layer}
    return {path: layer for path, layer in found.items() if not isinstance(layer, kl.InputLayer)}


@pytest.mark.parametrize("make", MODELS)
def test_what_is_read_is_written_again(make):
    model = trained(make())
    graph = KERAS_3.read(model)
    found = layers_of(model)
    assert {id(KERAS_3.layer(model, name)) for name, layer in graph.layers.items() if layer.kind != "input"} == {
        id(layer) for layer in found.values()
    }
    assert all(name in found for name, layer in graph.layers.items() if layer.kind != "input")
    again = KERAS_3.write(graph)
    assert list(layers_of(again)) == list(layers_of(model))
    for path, layer in layers_of(again).items():
        assert KERAS_3.layer(again, path) is layer
        for variable, original in zip(layer.weights, layers_of(model)[path].weights, strict=True):
            np.testing.assert_array_equal(variable, original)
    x = samples(model)
    for actual, expected in zip(outputs_of(again, x), outputs_of(model, x), strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)
    graph_again = KERAS_3.read(again)
    assert graph_again.calls == graph.calls
    without = {use: dataclasses.replace(submodel, config={}) for use, submodel in graph.submodels.items()}
    assert {use: dataclasses.replace(s, config={}) for use, s in graph_again.submodels.items()} == without


def test_how_a_nested_model_is_called_and_frozen_is_kept():
    model = functional()
    model.get_layer("backbone").trainable = False
    fixed = tfmp.fix(tfmp.relax(model), {"backbone/conv2": (4, 4)})
    (submodel,) = KERAS_3.read(fixed).submodels.values()
    assert submodel.arguments["training"] is False and not submodel.trainable
    assert not fixed.get_layer("backbone").get_layer("norm").trainable and fixed.get_layer("head").trainable


def test_names_and_uses_in_the_graph():
    graph = KERAS_3.read(siamese())
    calls = [call for call in graph.calls if call.layer == "encoder/conv2"]
    assert [call.outputs for call in calls] == [("encoder/conv2",), ("encoder:call_1/conv2",)]
    assert [graph.submodels[call.within].name for call in calls] == ["encoder", "encoder"]
    assert calls[0].within != calls[1].within
    graph = KERAS_3.read(three_levels())
    assert {"middle/backbone/conv1", "middle/conv1", "head"} <= set(graph.layers)
    assert graph.layers["middle/backbone/conv1"].shape.reads_network_input


@pytest.mark.parametrize("make", MODELS)
def test_every_layer_of_a_nested_model_is_searched_in_its_place(make):
    model = trained(make())
    relaxed = tfmp.relax(model, first_and_last="search")
    searched = {path for path, layer in layers_of(relaxed).items() if hasattr(layer, "weight_selector")}
    assert searched == {path for path, layer in layers_of(model).items() if isinstance(layer, kl.Conv2D | kl.Dense)}
    assert [layer.name for layer in relaxed.layers if isinstance(layer, keras.Model)] == [
        layer.name for layer in model.layers if isinstance(layer, keras.Model)
    ]
    assert set(layers_of(model)) <= set(layers_of(relaxed))


def test_layers_of_one_name_draw_noise_of_their_own():
    relaxed = tfmp.relax(in_sequential(), relaxation="gumbel", seed=3, first_and_last="search")
    again = tfmp.relax(in_sequential(), relaxation="gumbel", seed=3, first_and_last="search")
    one, other = (KERAS_3.layer(relaxed, name).weight_selector.seed for name in ("backbone/conv1", "top/conv1"))
    assert one != other
    assert KERAS_3.layer(again, "top/conv1").weight_selector.seed == other


def test_quantizers_of_a_nested_model_stay_inside():
    added = {}
    for make in (functional, siamese):
        model = make()
        added[make] = set(layers_of(tfmp.relax(model))) - set(layers_of(model))
    inside = {"relu_quantizer", "conv2_quantizer", "out_quantizer"}
    assert added[functional] == {*(f"backbone/{name}" for name in inside), "head_quantizer"}
    # Both calls share them, as they share the layers.
    assert {name for name in added[siamese] if name.startswith("encoder/")} >= {f"encoder/{name}" for name in inside}
    assert not any("/" in name for name in added[siamese] if not name.startswith("encoder/"))


def test_inputs_and_outputs_of_a_nested_model_keep_their_structure():
    relaxed = tfmp.relax(several_in_and_out(), first_and_last="search")
    inner = relaxed.get_layer("inner")
    assert set(inner.input) == {"a", "b"} and set(inner.output) == {"a", "y", "z"}
    outputs = inner({name: np.ones((2, 4), np.float32) for name in "ab"})
    assert outputs["z"].shape == (2, 3)


def test_inner_tensors_can_be_read():
    model = trained(siamese())
    x = samples(model)
    names = ["encoder/relu", "encoder:call_1/relu", "encoder:call_1/out"]
    actual = KERAS_3.tensor_model(model, names)(x)
    encoder = model.get_layer("encoder")
    inner = keras.Model(encoder.input, [encoder.get_layer("relu").output, encoder.output])
    expected = [inner(x["left"])[0], *inner(x["right"])]
    for one, other in zip(actual, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_a_layer_in_several_models_has_one_name():
    """Where it lies least deep, whatever runs first; its calls are named after where they are."""
    graph = KERAS_3.read(shared_with_a_part())
    assert {name for name in graph.layers if "conv" in name} == {"conv1", "backbone/conv2"}
    tensors = {call.outputs[0] for call in graph.calls if call.layer == "conv1"}
    assert tensors == {"conv1", "backbone/conv1", "around/backbone/conv1"}
    relaxed = tfmp.relax(shared_with_a_part(), calibration=samples(functional()))
    assert tensors <= set(KERAS_3.read(relaxed).tensors)
    assert relaxed.get_layer("backbone").get_layer("conv1") is relaxed.get_layer("conv1")


def test_a_path_without_layer_is_an_error():
    with pytest.raises(ValueError, match="no layer `conv9`.*conv1"):
        KERAS_3.layer(functional(), "backbone/conv9")


@pytest.mark.default_cases("siamese")
@pytest.mark.parametrize("make", [functional, siamese, in_sequential])
def test_from_float_to_file(make, tmp_path):
    model = trained(make())
    x = samples(model, 32)
    y = [np.zeros((32, *output.shape[1:]), np.float32) for output in model.outputs]
    relaxed = tfmp.relax(model, weight_bits=(2, 4), activation_bits=(3, 4), calibration=x)
    relaxed.compile(tfmp.SelectionOptimizer("sgd", "adam"), loss=["mse"] * len(y), run_eagerly=True)
    search = tfmp.MixedPrecisionSearch(budget=tfmp.Budget("bitops", like_uniform=(3, 3)))
    before = {path: np.asarray(layer.weight_selector.logits) for path, layer in searched(relaxed)}
    relaxed.fit(x, y, batch_size=16, epochs=1, callbacks=[search], verbose=0)
    assert all((np.asarray(layer.weight_selector.logits) != before[path]).all() for path, layer in searched(relaxed))
    assignment = tfmp.discretize(relaxed, strategy="budget", budget=search.budget)
    assert set(assignment) == set(before) and any("/" in name for name in assignment)
    fixed = tfmp.fix(relaxed, assignment, calibration=x)
    for path, layer in searched(relaxed):
        np.testing.assert_array_equal(KERAS_3.layer(fixed, path).kernel, layer.kernel)
        assert KERAS_3.layer(fixed, path).weight_bits == (assignment[path][0],)
    fixed.save(tmp_path / "fixed.keras")
    loaded = tfmp.load_model(tmp_path / "fixed.keras")
    for actual, expected in zip(outputs_of(loaded, x), outputs_of(fixed, x), strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-6, atol=1e-6)
    report = tfmp.export_tflite(fixed, tmp_path / "model.tflite", verify=x)
    assert set(assignment) <= set(report.bits)
    assert len(tfmp.fold(fixed).predict(x, verbose=0)) == 32, "its layers' names are names of TensorFlow too"


def searched(relaxed):
    for path, layer in layers_of(relaxed).items():
        if getattr(layer, "selection_cost", None) is not None:
            yield path, layer
