"""Which layers are searched, and which candidates they get."""

import keras
import numpy as np
import pytest
from keras import layers as kl

import tfmp
from tests.transform.small_networks import inputs_for, outputs_of, plain, quantizers_of, residual, several, trained
from tfmp.bindings.keras3.keras3_framework import Keras3Framework

KERAS_3 = Keras3Framework()


def test_first_and_last():
    kept = {"first", "head"}
    int8 = tfmp.relax(residual())
    for name in kept:
        layer = int8.get_layer(name)
        assert (layer.weight_bits, layer.activation_bits) == ((8,), (8,))
        assert layer.quantizer == ("linear", "moving_range")
    floating = tfmp.relax(residual(), first_and_last="float")
    assert all(type(floating.get_layer(name)) in (kl.Conv2D, kl.Dense) for name in kept)
    assert not quantizers_of(floating), "no integer network: nothing is stored"
    searched = tfmp.relax(residual(), first_and_last="search")
    assert all(searched.get_layer(name).weight_bits == (1, 2, 3, 4) for name in kept)
    for relaxed in (int8, floating, searched):
        assert relaxed.get_layer("inside").weight_bits == (1, 2, 3, 4)
        assert relaxed.get_layer("inside").activation_bits == (2, 3, 4)
    with pytest.raises(ValueError, match="`first_and_last` must be one of 'int8', 'float', 'search'"):
        tfmp.relax(residual(), first_and_last="none")


def test_every_input_and_output_has_a_first_and_a_last_layer():
    searched = [layer.name for layer in KERAS_3.read(tfmp.relax(several())).searched]
    assert searched == ["right_second", "shared", "hidden"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"layers": "inside"}, {"inside"}),
        ({"layers": "*_addition"}, {"before_addition", "after_addition"}),
        ({"layers": ["inside", "after*"]}, {"inside", "after_addition"}),
        ({"layers": lambda layer: layer.shape.out_channels == 5}, {"after_addition"}),
        ({"skip": "inside"}, {"before_addition", "after_addition"}),
        ({"skip": ["before*", lambda layer: layer.name == "inside"]}, {"after_addition"}),
        ({"layers": "*_addition", "skip": "after*"}, {"before_addition"}),
        ({}, {"inside", "before_addition", "after_addition"}),
    ],
    ids=["name", "pattern", "list", "predicate", "skip", "skip_list", "both", "neither"],
)
def test_layers_are_chosen_and_skipped(options, expected):
    relaxed = tfmp.relax(residual(), **options)
    assert {layer.name for layer in KERAS_3.read(relaxed).searched} == expected
    for name in {"inside", "before_addition", "after_addition"} - expected:
        assert relaxed.get_layer(name).weight_bits == (8,)


@pytest.mark.parametrize("argument", ["layers", "skip"])
def test_names_that_match_nothing(argument):
    for wrong in ("wrong", ["inside", "wrong*"], "inside_norm"):
        with pytest.raises(ValueError, match=f"`{argument}`.*first, inside, before_addition"):
            tfmp.relax(residual(), **{argument: wrong})
    with pytest.raises(TypeError, match="must be a name, a pattern, a function of a layer"):
        tfmp.relax(residual(), **{argument: [3]})


@pytest.mark.parametrize(
    "model",
    [
        keras.Sequential([keras.Input((4,)), kl.Dense(2, name="only")]),
        keras.Sequential([keras.Input((4,)), kl.ReLU(name="only")]),
    ],
)
def test_no_layer_to_search(model):
    with pytest.raises(ValueError, match="no layer whose bits can be searched.*only"):
        tfmp.relax(model)


@pytest.mark.slow
@pytest.mark.parametrize("application", ["MobileNetV2", "ResNet50V2"])
def test_known_networks_relax(application):
    model = getattr(keras.applications, application)(weights=None, input_shape=(32, 32, 3), classes=10)
    relaxed = tfmp.relax(model)
    multiplying = sum(isinstance(layer, kl.Conv2D | kl.DepthwiseConv2D | kl.Dense) for layer in model.layers)
    assert len(KERAS_3.read(relaxed, weights=False).searched) == multiplying - 2
    outputs = np.asarray(relaxed(np.random.default_rng(0).normal(size=(1, 32, 32, 3))))
    assert outputs.shape == (1, 10) and np.isfinite(outputs).all()
    np.testing.assert_allclose(outputs.sum(), 1, rtol=0.05)


def test_each_candidate_starts_from_the_kernel():
    model = trained(plain())
    shared, own = (tfmp.relax(model, weight_bits=(1, 2, 4), shared_weights=shared) for shared in (True, False))
    for layer in KERAS_3.read(shared, weights=False).searched:
        kernel, built = np.asarray(shared.get_layer(layer.name).kernel), own.get_layer(layer.name)
        assert len(built.kernels()) == 3
        for found in built.kernels():
            np.testing.assert_array_equal(found, kernel)
    x = inputs_for(model)
    np.testing.assert_allclose(outputs_of(own, x)[0], outputs_of(shared, x)[0], rtol=1e-5, atol=1e-5)
    searched = KERAS_3.read(own, weights=False).searched
    assert own.count_params() == shared.count_params() + 2 * sum(layer.shape.num_weights for layer in searched)
    assert [layer.num_parameters for layer in searched] == [
        layer.num_parameters for layer in KERAS_3.read(shared, weights=False).searched
    ], "the network that is shipped has one kernel a layer"


def test_coupled_candidates():
    model = trained(plain())
    relaxed = tfmp.relax(model, weight_bits=(1, 4), activation_bits=(2, 4), coupled=True)
    graph = KERAS_3.read(relaxed)
    assert [layer.name for layer in graph.in_order() if layer.coupled] == [layer.name for layer in graph.searched]
    assert all(layer.pairs == ((0, 0), (1, 1)) for layer in graph.searched)
    assert all("logits" in layer.weight.choice and "logits" not in layer.activation.choice for layer in graph.searched)
    expected = sum(layer.shape.macs * (0.5 * 1 * 2 + 0.5 * 4 * 4) for layer in graph.searched)
    kept = sum(layer.shape.macs * 64 for layer in graph.in_order() if layer.shape and not layer.is_searched)
    assert tfmp.cost(relaxed, "bitops") == pytest.approx(expected + kept, rel=1e-6)
    for seed in range(4):
        drawn = tfmp.discretize(relaxed, strategy="sample", seed=seed)
        assert set(drawn.bits.values()) <= {(1, 2), (4, 4)}
    budget = tfmp.Budget("bitops", like_uniform=(2, 3))
    found = tfmp.discretize(relaxed, strategy="budget", budget=budget)
    assert set(found.bits.values()) == {(1, 2), (4, 4)}
    tfmp.initialize_search(relaxed, found)
    assert tfmp.discretize(relaxed).bits == found.bits
    with pytest.raises(ValueError, match=r"coupled. Expected one of \(1, 2\), \(4, 4\). Received: \(1, 4\)"):
        tfmp.initialize_search(relaxed, {name: (1, 4) for name in found})
    harm = tfmp.assign.by_sensitivity(relaxed, inputs_for(model), budget)
    assert set(harm.bits.values()) <= {(1, 2), (4, 4)}
    with pytest.raises(ValueError, match="equally many of both"):
        tfmp.relax(model, coupled=True)


@pytest.mark.parametrize("bits", [((1, 4), (2, 4)), ((2, 4), (2, 4))], ids=["section_5_6", "figure_4"])
def test_coarse_search_spaces(bits):
    model = trained(plain())
    relaxed = tfmp.relax(model, weight_bits=bits[0], activation_bits=bits[1], quantizer="hwgq")
    pairs = {(w, a) for w in bits[0] for a in bits[1]}
    searched = KERAS_3.read(relaxed).searched
    assert searched and all((layer.weight.bits, layer.activation.bits) == bits for layer in searched)
    assert {
        pair for seed in range(8) for pair in tfmp.discretize(relaxed, strategy="sample", seed=seed).bits.values()
    } == pairs
