import keras
import numpy as np
import pytest
import tf_keras

import tfmp
from tfmp import networks
from tfmp.width import scale_width

KERASES = pytest.mark.parametrize("k", [keras, tf_keras], ids=["keras", "tf_keras"])


def halved(shape):
    """A shape of weights with every even number of channels halved; kernels' sides, images and classes are odd."""
    return tuple(n if n % 2 or (len(shape) == 4 and axis < 2) else n // 2 for axis, n in enumerate(shape))


@pytest.mark.default_cases("VGG16-*")
@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("MobileNet", 32),
        ("MobileNetV2", 32),
        ("ResNet50", 32),
        ("EfficientNetB0", 32),
        ("VGG16", 32),
        pytest.param("InceptionV3", 75, marks=pytest.mark.slow),
        pytest.param("DenseNet121", 32, marks=pytest.mark.slow),
    ],
)
def test_networks_of_keras_applications_have_half_of_every_channel(name, size):
    model = getattr(keras.applications, name)(weights=None, input_shape=(size, size, 3), classes=7)
    half = scale_width(model, 0.5)
    assert [tuple(w.shape) for w in half.weights] == [halved(tuple(w.shape)) for w in model.weights]
    assert (half.input_shape, half.output_shape) == (model.input_shape, model.output_shape)
    assert [layer.name for layer in half.layers] == [layer.name for layer in model.layers]


def shapes(model):
    return [tuple(w.shape) for w in model.weights]


@pytest.mark.slow  # own networks are compared with their builders below
@pytest.mark.parametrize(("name", "alpha"), [("MobileNet", 0.25), ("MobileNetV2", 2.0)])
def test_width_is_the_alpha_of_keras_where_its_rounding_to_8_agrees(name, alpha):
    def build(alpha):
        return getattr(tf_keras.applications, name)(alpha=alpha, weights=None, input_shape=(32, 32, 3), classes=10)

    assert shapes(scale_width(build(1.0), alpha)) == shapes(build(alpha))


@pytest.mark.default_cases("resnet20-*", "vgg11-*")
@pytest.mark.parametrize(
    ("name", "width", "arguments"),
    [
        ("resnet20", 0.3, {}),
        ("inv_resnet26", 1.5, {}),
        ("vgg11", 0.125, {"variant": "b"}),
        ("mobilenet_v2_cifar", 0.25, {}),
    ],
)
def test_own_networks_have_the_size_that_their_builders_give_them(name, width, arguments):
    build = networks.get(name)
    assert shapes(scale_width(build(keras, **arguments), width)) == shapes(build(keras, width=width, **arguments))


def test_ends_of_a_residual_network_keep_the_sums_that_they_make_and_read():
    half = scale_width(networks.get("resnet20")(keras), 0.5, fixed_ends=True)
    assert half.get_layer("classifier").kernel.shape == (64, 10)
    for stage, (inside, between) in enumerate(((8, 16), (16, 16), (32, 64)), start=1):
        for block in (1, 2, 3):
            found = channels(half)
            assert found[f"stage{stage}_block{block}_conv1"] == inside
            assert found[f"stage{stage}_block{block}_add"] == between


def model_of(k, layers, *, channels=3, size=8, classes=5):
    """A model whose middle is `layers`, a function of the image."""
    image = k.Input((size, size, channels))
    x = k.layers.GlobalAveragePooling2D()(layers(image))
    return k.Model(image, k.layers.Dense(classes, name="logits")(x))


def channels(model):
    return {layer.name: layer.output.shape[-1] for layer in model.layers if len(layer.output.shape) > 2}


@KERASES
def test_what_is_added_to_a_concatenation_is_as_wide_as_its_parts(k):
    def layers(x):
        parts = [k.layers.Conv2D(n, 1, name=f"part{n}")(x) for n in (3, 5)]
        joined = k.layers.Concatenate(name="joined")(parts)
        return k.layers.Add(name="sum")([k.layers.Conv2D(8, 1, name="whole")(x), joined])

    # round(8 * 0.3) is 2, but a part of 3 channels becomes 1 and one of 5 becomes 2.
    found = channels(scale_width(model_of(k, layers), 0.3))
    assert {name: found[name] for name in ("part3", "part5", "joined", "whole", "sum")} == {
        "part3": 1,
        "part5": 2,
        "joined": 3,
        "whole": 3,
        "sum": 3,
    }


@KERASES
def test_groups_stay_unless_they_are_the_channels(k):
    def layers(x):
        x = k.layers.Conv2D(12, 1, name="first")(x)
        x = k.layers.Conv2D(24, 3, groups=4, name="grouped")(x)
        x = k.layers.Conv2D(48, 3, groups=24, name="each")(x)
        return k.layers.DepthwiseConv2D(3, depth_multiplier=2, name="depthwise")(x)

    scaled = scale_width(model_of(k, layers), 0.4)
    # Of 12 * 0.4 = 4.8 and 24 * 0.4 = 9.6 channels the multiples of 4 are taken.
    assert {n: channels(scaled)[n] for n in ("first", "grouped", "each", "depthwise")} == {
        "first": 4,
        "grouped": 8,
        "each": 16,
        "depthwise": 32,
    }
    assert [scaled.get_layer(name).groups for name in ("grouped", "each")] == [4, 8]


@KERASES
def test_groups_of_normalizations_follow_where_there_is_one_for_each_channel(k):
    def layers(x):
        x = k.layers.Conv2D(8, 3, name="first")(x)
        x = k.layers.GroupNormalization(groups=-1, name="each")(x)
        return k.layers.GroupNormalization(groups=4, name="four")(x)

    for multiplier, expected in ((0.5, 4), (2, 16)):
        scaled = scale_width(model_of(k, layers), multiplier)
        assert [scaled.get_layer(name).groups for name in ("each", "four")] == [expected, 4]
        assert channels(scaled)["four"] == expected


@KERASES
def test_noise_that_channels_share_is_as_wide_as_they_are(k):
    def layers(x):
        return k.layers.Dropout(0.5, noise_shape=(None, 1, 1, 16), name="drop")(k.layers.Conv2D(16, 3)(x))

    scaled = scale_width(model_of(k, layers), 0.5)
    dropped = np.asarray(scaled.get_layer("drop")(np.ones((2, 6, 6, 8), np.float32), training=True))
    assert {float(value) for value in np.ravel(dropped)} == {0.0, 2.0}
    np.testing.assert_array_equal(dropped, np.broadcast_to(dropped[:, :1, :1], dropped.shape))


@KERASES
def test_words_have_embeddings_of_other_sizes_and_stay_words(k):
    words = k.layers.TextVectorization(output_sequence_length=3, name="words")
    words.adapt(np.array(["red green", "blue", "blue red"]))
    text = k.Input((1,), dtype="string")
    x = k.layers.Embedding(8, 6, name="meaning")(words(text))
    x = k.layers.GlobalAveragePooling1D()(k.layers.LayerNormalization(name="normalized")(x))
    scaled = scale_width(k.Model(text, k.layers.Dense(5)(x)), 0.5)
    assert scaled.get_layer("meaning").output_dim == channels(scaled)["normalized"] == 3
    assert scaled.get_layer("words").get_vocabulary() == words.get_vocabulary()


@KERASES
def test_squeeze_and_excitation_and_flattened_images(k):
    image = k.Input((4, 4, 3))
    x = k.layers.Conv2D(6, 3, padding="same", name="first")(image)
    gate = k.layers.Reshape((1, 1, 6))(k.layers.GlobalAveragePooling2D()(x))
    gate = k.layers.Conv2D(6, 1, activation="sigmoid", name="gate")(k.layers.Conv2D(2, 1, name="squeeze")(gate))
    attention = k.layers.Conv2D(1, 1, name="attention")(x)  # one channel for all, which stays one
    x = k.layers.Multiply(name="multiplied")([k.layers.Multiply()([x, gate]), attention])
    x = k.layers.Reshape((-1, 6), name="rows")(x)
    x = k.layers.Dense(10, name="hidden")(k.layers.Flatten()(k.layers.Permute((2, 1))(x)))
    scaled = scale_width(k.Model(image, k.layers.Dense(5)(x)), 2.5)
    assert channels(scaled)["rows"] == channels(scaled)["multiplied"] == 15
    assert channels(scaled)["attention"] == 1
    assert scaled.get_layer("hidden").kernel.shape == (4 * 4 * 15, 25)
    assert scaled(np.ones((2, 4, 4, 3), np.float32)).shape == (2, 5)


@KERASES
def test_channels_that_are_taken_apart_stay_multiples(k):
    def layers(x):  # the channel shuffle of ShuffleNet
        x = k.layers.Conv2D(12, 1, name="first")(x)
        x = k.layers.Permute((1, 2, 4, 3))(k.layers.Reshape((8, 8, 3, 4), name="apart")(x))
        return k.layers.Reshape((8, 8, 12), name="shuffled")(x)

    scaled = scale_width(model_of(k, layers), 0.6)
    assert scaled.get_layer("apart").output.shape == (None, 8, 8, 3, 2)
    assert channels(scaled)["first"] == channels(scaled)["shuffled"] == 6


@KERASES
def test_nested_and_shared_models(k):
    inner_image = k.Input((8, 8, 4))
    inner = k.layers.BatchNormalization(name="bn")(k.layers.Conv2D(4, 1, name="conv")(inner_image))
    block = k.Model(inner_image, k.layers.Add()([inner_image, inner]), name="block")
    block.trainable = False

    def layers(x):
        x = k.layers.Conv2D(4, 1, name="first")(x)
        return k.layers.Concatenate(name="both")([block(x), block(k.layers.Conv2D(4, 3, padding="same")(x))])

    scaled = scale_width(model_of(k, layers), 1.5)
    assert scaled.get_layer("block").get_layer("conv").kernel.shape == (1, 1, 6, 6)
    assert channels(scaled)["both"] == 12
    assert len(scaled.trainable_weights) == len(scaled.weights) - 2  # what is new must learn; but moving statistics
    tfmp.relax(scaled)  # what comes out is a model like any other


@KERASES
def test_models_in_a_row_and_sums_with_the_image(k):
    scaled = scale_width(
        k.Sequential([k.Input((8, 8, 2)), k.layers.Conv2D(4, 3), k.layers.Flatten(), k.layers.Dense(5)]), 3
    )
    assert [tuple(w.shape) for w in scaled.weights] == [(3, 3, 2, 12), (12,), (36 * 12, 5), (5,)]
    image = k.Input((8, 8, 3))
    x = k.layers.Conv2D(3, 1, name="back")(k.layers.Conv2D(4, 1, name="inside")(image))
    scaled = scale_width(k.Model(image, k.layers.Add()([image, x])), 2)
    assert channels(scaled)["inside"] == 8
    assert channels(scaled)["back"] == 3


@KERASES
def test_ends_and_chosen_layers_keep_their_channels(k):
    def layers(x):
        x = k.layers.Conv2D(8, 3, name="first")(x)
        x = k.layers.Conv2D(8, 3, name="inside")(x)
        x = k.layers.Conv2D(8, 1, name="kept")(x)
        return k.layers.Conv2D(8, 1, name="before_the_last")(x)

    model = model_of(k, layers)
    assert {n: channels(scale_width(model, 2, fixed_ends=True, keep="kep*"))[n] for n in channels(model)} == {
        **channels(model),
        "inside": 16,
    }


@KERASES
def test_separable_convolutions_are_ends_like_others(k):
    image = k.Input((8, 8, 3))
    x = k.layers.SeparableConv2D(8, 3, name="first")(image)
    for name in ("inside", "before_the_last"):
        x = k.layers.Conv2D(8, 1, name=name)(x)
    model = k.Model(image, k.layers.SeparableConv2D(4, 3, name="last")(x))
    assert channels(scale_width(model, 2, fixed_ends=True)) == {**channels(model), "inside": 16}


def test_weights_are_new_but_what_was_adapted_stays():
    keras.utils.set_random_seed(0)
    adapted = keras.layers.Normalization(name="adapted")
    adapted.adapt(np.arange(60, dtype=np.float32).reshape(4, 5, 3))
    image = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, name="conv", kernel_initializer="ones")(adapted(image))
    x = keras.layers.Conv2D(4, 3, name="random")(x)
    model = keras.Model(image, x)
    model.get_layer("conv").kernel.assign(model.get_layer("conv").kernel * 7)
    before = model.get_weights()
    same = scale_width(model, 1)
    np.testing.assert_array_equal(np.ravel(same.get_layer("adapted").mean), np.ravel(adapted.mean))
    np.testing.assert_array_equal(same.get_layer("conv").kernel, np.ones((3, 3, 3, 4)))
    assert not np.allclose(same.get_layer("random").kernel, model.get_layer("random").kernel)
    for old, now in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, now)


@keras.saving.register_keras_serializable("scale_width_test")
class OwnDense(keras.layers.Layer):
    """Makes as many channels as it is told, which its configuration alone says."""

    def __init__(self, size, **arguments):
        super().__init__(**arguments)
        self.size = size

    def build(self, shape):
        self.kernel = self.add_weight(name="own", shape=(shape[-1], self.size))

    def call(self, x):
        return keras.ops.matmul(x, self.kernel)

    def get_config(self):
        return {**super().get_config(), "size": self.size}


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (lambda x: OwnDense(8, name="own")(x), r"Layer `own` \(OwnDense\) does not follow the channels of its input"),
        (lambda x: OwnDense(9, name="own")(x), r"Layer `own` \(OwnDense\) cannot get other channels: its effect"),
        (lambda x: keras.layers.Lambda(lambda x: x[..., :4], name="cut")(x), "`cut` .Lambda.*a Python function"),
        (lambda x: keras.layers.LSTM(8, name="rnn")(keras.layers.Reshape((36, 8))(x)), "`rnn` .LSTM.*it is recurrent"),
        (lambda x: keras.layers.Reshape((15, 24), name="r")(keras.layers.Conv2D(10, 1, name="first10")(x)), "`r` .*24"),
        (
            lambda x: keras.layers.MaxPooling2D(name="pool")(keras.layers.Permute((3, 1, 2))(x)),
            "`pool` .* an axis that it does not treat as channels",
        ),
    ],
    ids=["same_size", "own_size", "lambda", "recurrent", "reshape", "pool"],
)
def test_layers_that_hide_what_they_do_to_channels_are_named(layer, message):
    image = keras.Input((8, 8, 3))
    x = layer(keras.layers.Conv2D(8, 3, name="first")(image))
    model = keras.Model(image, keras.layers.Dense(5)(keras.layers.Flatten()(x)))
    with pytest.raises(ValueError, match=message) as error:
        scale_width(model, 0.5)
    assert "`keep`" in str(error.value)
    kept = scale_width(model, 0.5, keep=["first*", *(n for n in ("own", "cut", "rnn") if f"`{n}`" in message)])
    assert kept.count_params() == model.count_params()


def test_attention_keeps_its_heads_on_request():
    image = keras.Input((4, 8))
    x = keras.layers.Dense(8, name="first")(image)
    x = keras.layers.Add(name="sum")([x, keras.layers.MultiHeadAttention(2, 4, name="attention")(x, x)])
    x = keras.layers.Dense(8, name="last")(keras.layers.Dense(16, name="inside")(x))
    model = keras.Model(image, x)
    with pytest.raises(ValueError, match=r"`attention` .MultiHeadAttention.*`key_dim`, which does not follow.*`keep`"):
        scale_width(model, 0.5)
    grouped = keras.layers.GroupQueryAttention(4, 2, 1, name="grouped")
    tokens = keras.layers.Dense(8, name="tokens")(image)
    with pytest.raises(ValueError, match="`grouped` .GroupedQueryAttention.*which does not follow.*`keep`"):
        scale_width(keras.Model(image, keras.layers.Dense(2, name="end")(grouped(tokens, tokens))), 0.5)
    scaled = scale_width(model, 0.5, keep="attention")
    assert scaled.get_layer("inside").kernel.shape == (8, 8)
    assert scaled.count_params() == model.count_params() - 8 * 8 - 8 - 8 * 8


LAYERS_WITHOUT_A_RULE = {
    "conv3d": lambda k: ((4, 4, 4, 3), k.layers.Conv3D(8, 3)),
    "recurrent": lambda k: ((4, 3), k.layers.GRU(3, return_sequences=True)),
    "distributed": lambda k: ((4, 3), k.layers.TimeDistributed(k.layers.Dense(8))),
}


@KERASES
@pytest.mark.parametrize("name", LAYERS_WITHOUT_A_RULE)
def test_layers_with_weights_and_no_rule_are_named_wherever_they_are(k, name):
    shape, layer = LAYERS_WITHOUT_A_RULE[name](k)
    layer = type(layer).from_config({**layer.get_config(), "name": "hidden"})
    image = k.Input(shape)
    model = k.Model(image, k.layers.Dense(5)(k.layers.Dense(4, name="behind")(k.layers.Flatten()(layer(image)))))
    with pytest.raises(ValueError, match="Layer `hidden` .* cannot get other channels: its effect on channels is"):
        scale_width(model, 0.5)
    scaled = scale_width(model, 0.5, keep="hidden")
    assert scaled.get_layer("behind").units == 2
    assert shapes(scaled.get_layer("hidden")) == shapes(layer)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"multiplier": 0}, "`multiplier` must be a finite number above 0. Received: 0"),
        ({"multiplier": float("nan")}, "`multiplier` must be"),
        ({"multiplier": True}, "`multiplier` must be"),
        ({"keep": "nothing"}, "`keep` names 'nothing', which matches no layer"),
    ],
)
def test_wrong_arguments(arguments, message):
    model = model_of(keras, keras.layers.Conv2D(8, 3))
    with pytest.raises(ValueError, match=message):
        scale_width(model, **{"multiplier": 0.5, **arguments})
    with pytest.raises(ValueError, match="quantized already, by its layers conv2d"):
        scale_width(tfmp.relax(model, first_and_last="search"), 2)
