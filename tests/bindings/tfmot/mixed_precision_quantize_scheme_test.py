import numpy as np
import pytest
import tf_keras
from tf_keras import layers as kl

import tfmp
from tests.bindings.tfmot.networks import BITS, X, annotated, applied, network, quantization, search
from tfmp.bindings.framework import framework_of
from tfmp.tfmot import FixedPrecisionQuantizeConfig, MixedPrecisionQuantizeConfig, MixedPrecisionQuantizeScheme

pytestmark = pytest.mark.usefixtures("eagerly")


def bits_of(model):
    graph = framework_of(model).read(model, weights=False)
    return {layer.name: (layer.weight.bits, layer.activation.bits) for layer in graph.in_order() if layer.shape}


def test_one_layer_annotated_is_the_only_one_quantized():
    model = network()
    found = applied(model, {"pointwise": MixedPrecisionQuantizeConfig((2, 4), (3,))}, everything=False)
    assert bits_of(found) == {name: ((32,), (32,)) for name in bits_of(model)} | {"pointwise": ((2, 4), (3,))}
    assert [layer.name.removeprefix("quant_") for layer in found.layers] == [layer.name for layer in model.layers]
    search(found, epochs=1)
    assert set(tfmp.discretize(found)) == {"pointwise"}


@pytest.mark.slow
def test_configurations_go_before_the_scheme():
    configs = {
        "first": MixedPrecisionQuantizeConfig((4, 8), (8,), quantizer=("lsq", "moving_range")),
        "pointwise": FixedPrecisionQuantizeConfig(3, 5),
        "hidden": FixedPrecisionQuantizeConfig(2, None),
    }
    found = applied(network(), configs)
    assert bits_of(found) == {
        "first": ((4, 8), (8,)),
        "depthwise": ((1, 2, 4), (2, 4)),
        "pointwise": ((3,), (5,)),
        "hidden": ((2,), (32,)),
        "head": ((8,), (8,)),
    }
    assert found.get_layer("quant_first").activation_selector.signed
    assert not found.get_layer("quant_pointwise").activation_selector.signed


@pytest.mark.slow
def test_kernels_are_those_of_the_model_but_for_signs():
    model = network()
    found = applied(model)
    for name in bits_of(model):
        kernel = framework_of(found).layer(found, name).kernel
        expected = framework_of(model).read(model).layers[name].weights["kernel"]
        np.testing.assert_array_equal(np.abs(kernel), np.abs(expected))


@pytest.mark.slow
def test_tfmots_layers_read_stored_tensors():
    config = quantization.default_8bit.Default8BitQuantizeRegistry().get_quantize_config(kl.Dense(1))
    for everything in (True, False):
        found = applied(network(), {"hidden": config}, everything=everything)
        names = [layer.name for layer in found.layers]
        assert names[names.index("quant_hidden") - 1] == "flatten_quantizer"
        assert bits_of(found)["hidden"] == ((8,), (8,))
        assert not any(name.startswith("hidden") for name in names)  # TFMOT stores its output


def test_shared_layers_share_one_price():
    inputs = tf_keras.Input((8, 8, 3))
    shared = kl.Conv2D(3, 3, padding="same", activation="relu", name="shared")
    x = shared(shared(kl.Conv2D(3, 1, activation="relu", name="first")(inputs)))
    found = applied(tf_keras.Model(inputs, kl.Dense(3, name="head")(kl.Flatten()(x))))
    assert found.get_layer("quant_shared").num_calls == 2
    search(found, epochs=1)
    price = found.get_layer("quant_shared").selection_cost.price.numpy()
    found(X, training=True)
    assert len(found.losses) == 2 and 0 < sum(map(float, found.losses)) < 2 * price.max()


@pytest.mark.slow
def test_frozen_layers_stay_frozen_while_their_bits_are_searched():
    model = network()
    model.get_layer("pointwise").trainable = False
    found = applied(model)
    wrapper = found.get_layer("quant_pointwise")
    before = {variable.name: variable.numpy() for variable in wrapper.weights}
    search(found, epochs=1)
    moved = {v.name.split("/", 1)[1] for v in wrapper.weights if not np.array_equal(before[v.name], v.numpy())}
    assert moved.isdisjoint({"kernel:0", "bias:0"})
    assert {"weight_selector/logits:0", "activation_selector/logits:0", "weight_selector/step:0"} <= moved


def test_sequential_models_with_separable_convolutions():
    stack = [
        kl.Conv2D(4, 3, activation="relu", input_shape=(8, 8, 3), name="first"),
        kl.SeparableConv2D(5, 3, activation="swish", name="separable"),
        kl.GlobalAveragePooling2D(),
        kl.Dense(3, name="head"),
    ]
    found = applied(tf_keras.Sequential(stack), {"separable": MixedPrecisionQuantizeConfig((2, 4), (4, 8))})
    assert bits_of(found)["separable"] == bits_of(found)["separable_depthwise"] == ((2, 4), (4, 8))
    assert "separable_activation" in [layer.name for layer in found.layers]


def test_every_projection_of_an_attention_has_its_configuration():
    image = tf_keras.Input((6, 8), name="image")
    x = kl.Dense(8, name="first")(image)
    x = kl.MultiHeadAttention(2, 4, name="attention")(x, x)
    model = tf_keras.Model(image, kl.Dense(3, name="head")(kl.GlobalAveragePooling1D()(x)))
    found = bits_of(applied(model, {"attention": MixedPrecisionQuantizeConfig((2, 4), (4, 8))}))
    for name in ("attention", "attention_query", "attention_key", "attention_value"):
        assert found[name] == ((2, 4), (4, 8)), name


@pytest.mark.slow
def test_first_and_last_in_floating_point():
    found = applied(network(), first_and_last="float")
    assert bits_of(found)["first"] == bits_of(found)["head"] == ((32,), (32,))
    assert not any(layer.name.endswith("_quantizer") for layer in found.layers)


def test_what_cannot_be_is_said():
    config = MixedPrecisionQuantizeConfig((2, 4), (4,))
    with pytest.raises(
        ValueError, match="`pointwise` has a configuration of `tfmp.tfmot`.*MixedPrecisionQuantizeScheme"
    ):
        quantization.quantize_apply(annotated(network(), {"pointwise": config}, everything=False))
    with pytest.raises(ValueError, match="no kernel that could be quantized: pool"):
        applied(network(), {"pool": config})


def test_the_registry_knows_layers_with_a_kernel():
    registry = MixedPrecisionQuantizeScheme(**BITS).get_quantize_registry()
    assert registry.supports(kl.Dense(1)) and not registry.supports(kl.ReLU())
    assert registry.get_quantize_config(kl.DepthwiseConv2D(3)).weight_bits == BITS["weight_bits"]
    with pytest.raises(ValueError, match="has no kernel"):
        registry.get_quantize_config(kl.ReLU())


@pytest.mark.parametrize(
    "config",
    [
        MixedPrecisionQuantizeConfig((2, 4), (4, 8), quantizer=("lsq", "moving_range"), signed_input=True, seed=4),
        MixedPrecisionQuantizeConfig(None, (2,), relaxation="gumbel", shared_range=False),
        FixedPrecisionQuantizeConfig(1, 3, signed_input=False),
        FixedPrecisionQuantizeConfig(4, None),
    ],
    ids=["mixed", "activation", "fixed", "weight"],
)
def test_configurations_are_restored(config):
    serialized = tf_keras.utils.legacy.serialize_keras_object(config)
    restored = tf_keras.utils.legacy.deserialize_keras_object(serialized)
    assert type(restored) is type(config) and restored.get_config() == config.get_config()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MixedPrecisionQuantizeConfig((0, 2)), "integers from 1 to 8"),
        (lambda: MixedPrecisionQuantizeConfig((2, 2)), "must be different bit-widths"),
        (lambda: MixedPrecisionQuantizeConfig(relaxation="hard"), "`relaxation` must be one of"),
        (lambda: MixedPrecisionQuantizeConfig(quantizer="round"), "`quantizer` must be one of"),
        (lambda: FixedPrecisionQuantizeConfig((2, 4), 4), "`weight_bits` must be an integer"),
        (lambda: FixedPrecisionQuantizeConfig(4, True), "`activation_bits` must be an integer"),
    ],
)
def test_arguments_are_checked(make, message):
    with pytest.raises(ValueError, match=message):
        make()
