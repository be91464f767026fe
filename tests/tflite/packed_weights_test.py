"""Constants become codes only where they are codes times a factor, and the file computes the same."""

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert import interpreter as litert

from tfmp.tflite.packed_weights import pack_weights
from tfmp.tflite.writer.packing import pack, unpack

TYPES = {9: "INT8", 17: "INT4", 19: "INT2"}
RNG = np.random.default_rng(0)


def dense(x, kernel):
    return x @ kernel


def convolution(x, kernel):
    return tf.nn.conv2d(x, kernel, 1, "SAME")


def depthwise(x, kernel):
    return tf.nn.depthwise_conv2d(x, kernel, (1, 1, 1, 1), "SAME")


def sequence(x, kernel):
    return tf.nn.conv1d(x, kernel, 1, "SAME")


def transposed(x, kernel):
    return tf.nn.conv2d_transpose(x, kernel, (1, 12, 12, kernel.shape[2]), 2)


CASES = {
    "dense": (dense, (1, 40), (40, 16)),
    "tokens": (dense, (1, 3, 40), (40, 16)),
    "convolution": (convolution, (1, 6, 6, 8), (3, 3, 8, 7)),
    "pointwise": (convolution, (1, 6, 6, 30), (1, 1, 30, 20)),
    "depthwise": (depthwise, (1, 6, 6, 67), (3, 3, 67, 2)),
    "sequence": (sequence, (1, 9, 8), (5, 8, 12)),
    "transposed": (transposed, (1, 6, 6, 8), (3, 3, 7, 8)),
}


def factors(kernel, name):
    """A factor per output channel, in the shape that broadcasts, one of them negative."""
    shape = {"depthwise": (1, 1, *kernel[-2:]), "transposed": (1, 1, kernel[-2], 1)}.get(name, kernel[-1:])
    values = RNG.uniform(0.01, 2, shape).astype(np.float32)
    values.flat[3] *= -1
    return values


def converted(function, shape, kernel):
    concrete = tf.function(
        lambda x: function(x, kernel), input_signature=[tf.TensorSpec(shape)]
    ).get_concrete_function()
    return tf.lite.TFLiteConverter.from_concrete_functions([concrete]).convert()


def run(content, x):
    interpreter = litert.Interpreter(model_content=content)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def packed(content, codes):
    """The file with its weights packed, and by name the type of every constant that is one of codes."""
    model = unpack(content)
    for tensor in model.subgraphs[0].tensors:
        tensor.name = tensor.name.decode()
    pack_weights(model, codes)
    new = pack(model)
    return new, {
        tensor.name.decode(): TYPES[tensor.type] for tensor in unpack(new).subgraphs[0].tensors if tensor.type in TYPES
    }


@pytest.mark.parametrize("low, high, container", [(-1, 1, "INT2"), (-7, 7, "INT4"), (-127, 127, "INT8")])
@pytest.mark.parametrize("name", CASES)
def test_codes_times_factors_are_packed(name, low, high, container):
    function, shape, kernel = CASES[name]
    codes = RNG.integers(low, high + 1, kernel).astype(np.int8)
    content = converted(function, shape, codes * factors(kernel, name))
    new, found = packed(content, {"other": RNG.permuted(codes, axis=-2), "layer": codes})
    assert found == {"layer/kernel": container}
    weights = {"INT2": codes.size / 4, "INT4": codes.size / 2, "INT8": codes.size}[container]
    channels = codes.size // np.prod(kernel[:2]) if name == "depthwise" else max(kernel[-2:])
    assert len(new) < len(content) - 4 * codes.size + weights + 12 * channels + 400
    x = RNG.normal(size=shape).astype(np.float32)
    expected = run(content, x)
    np.testing.assert_allclose(run(new, x), expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_what_normalization_leaves_of_a_kernel_is_packed():
    codes = RNG.integers(-2, 2, (3, 3, 8, 16)).astype(np.int8)
    gamma, step = RNG.uniform(0.5, 2, 16).astype(np.float32), np.float32(1 / 3)
    gamma[5] = 0  # the channel is off
    codes[..., 7] = 0
    gamma[9] *= -1  # and -2 becomes 2

    def normalized(x, kernel):
        return tf.nn.bias_add(convolution(x, kernel * np.float32(0.1)) * gamma, tf.range(16.0)) / step

    content = converted(normalized, (1, 6, 6, 8), codes.astype(np.float32))
    new, found = packed(content, {"layer": codes})
    assert found == {"layer/kernel": "INT4"}
    assert {t.name for t in unpack(new).subgraphs[0].tensors} >= {b"layer/bias", b"layer/numbers"}
    x = RNG.normal(size=(1, 6, 6, 8)).astype(np.float32)
    np.testing.assert_allclose(run(new, x), run(content, x), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("change", ["one number", "one zero", "by input", "other codes"])
def test_what_is_no_product_stays(change):
    codes = RNG.integers(1, 8, (40, 16)).astype(np.int8)
    kernel = codes * factors(codes.shape, "dense")
    if change == "one number":
        kernel[7, 3] *= 1 + 1e-5
    elif change == "one zero":
        kernel[7, 3] = 0
    elif change == "by input":
        kernel *= RNG.uniform(1, 2, (40, 1)).astype(np.float32)
    else:
        codes = np.roll(codes, 1, axis=0)
    content = converted(dense, (1, 40), kernel)
    new, found = packed(content, {"layer": codes})
    assert found == {}
    x = RNG.normal(size=(1, 40)).astype(np.float32)
    np.testing.assert_array_equal(run(new, x), run(content, x))


@pytest.mark.parametrize("same", [True, False])
def test_files_never_grow(same):
    outcomes = {}
    for inputs in range(4, 44, 4):
        codes = RNG.integers(-1, 2, (inputs, 4)).astype(np.int8)
        content = converted(dense, (1, inputs), codes * (np.float32(0.1) if same else factors(codes.shape, "dense")))
        plain, new = packed(content, {}), packed(content, {"layer": codes})
        assert b"layer/kernel" in {tensor.name for tensor in unpack(new[0]).subgraphs[0].tensors}
        outcomes[bool(new[1])] = len(new[0]) - len(plain[0])
        assert outcomes[bool(new[1])] <= 16  # a longer name
    assert set(outcomes) == {False, True}


def test_one_factor_for_all_is_stored_once():
    codes = RNG.integers(-7, 8, (40, 64)).astype(np.int8)
    new, _ = packed(converted(dense, (1, 40), codes * np.float32(0.1)), {"layer": codes})
    (tensor,) = (tensor for tensor in unpack(new).subgraphs[0].tensors if tensor.name == b"layer/kernel")
    np.testing.assert_allclose(tensor.quantization.scale, [0.1], rtol=1e-6)
