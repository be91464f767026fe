"""Folding and export of small models from end to end, against a NumPy model of the runtime."""

import inspect
import sys

import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from keras import layers

import tfmp
from tests.tflite import integer_reference
from tests.transform.segments import check_segments
from tfmp.bindings.framework import framework_of
from tfmp.transform.fold import fold_graph

SAMPLES = 48
# At few bits and with random weights, one rounding carries far.
UNTRAINED = tfmp.Tolerance(trained_db=None, trained_top1=None)
BITS = {
    "low": [(2, 2), (1, 2), (2, 1), (1, 1)],
    "mixed": [(3, 2), (1, 4), (4, 3), (2, 8), (8, 1)],
    "eight": [(8, 8)],
}


def plain():
    x = image = keras.Input((9, 8, 3), name="image")
    x = layers.Conv2D(8, 3, strides=2, padding="same", activation="relu", name="inside")(x)
    x = layers.Conv2D(6, (1, 2), name="bare")(x)
    x = layers.ReLU(max_value=1.5, name="clipped")(x)
    x = layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2, dilation_rate=2, name="deep")(x)
    x = layers.Activation("relu6", name="six")(x)
    x = layers.Conv2D(8, 3, padding="same", groups=4, dilation_rate=(1, 2), use_bias=False, name="groups")(x)
    x = layers.Flatten(name="flat")(keras.ops.relu(x))
    x = layers.Dense(12, activation="relu6", name="hidden")(layers.Dropout(0.5, name="drop")(x))
    return keras.Model(image, layers.Dense(5, activation="softmax", name="probabilities")(x), name="plain")


def normalized():
    x = image = keras.Input((8, 8, 3), name="image")
    x = layers.Conv2D(8, 3, padding="same", name="first")(x)
    x = layers.ReLU()(layers.BatchNormalization(name="first_bn")(x))
    x = layers.DepthwiseConv2D(3, strides=2, use_bias=False, name="deep")(x)
    x = keras.ops.relu6(layers.BatchNormalization(scale=False, name="deep_bn")(x))
    x = layers.Conv2D(10, 1, name="point")(x)
    x = layers.Activation("relu")(layers.BatchNormalization(center=False, name="point_bn")(x))
    x = layers.Dense(6, name="wide")(x)
    x = layers.BatchNormalization(name="wide_bn")(x)
    x = layers.Conv2D(8, 2, name="signed")(x)
    x = layers.BatchNormalization(name="signed_bn")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    x = layers.Dense(9, name="hidden")(x)
    x = layers.ReLU()(layers.BatchNormalization(name="hidden_bn")(x))
    return keras.Model(image, layers.Dense(5, name="logits")(x), name="normalized")


def residual():
    def convolution(x, filters, strides, name):
        x = layers.Conv2D(filters, 3, strides=strides, padding="same", use_bias=False, name=name)(x)
        return layers.BatchNormalization(name=f"{name}_bn")(x)

    image = keras.Input((8, 8, 3), name="image")
    x = layers.ReLU()(convolution(image, 8, 1, "stem"))
    for stage, strides in enumerate([1, 2]):
        y = layers.ReLU()(convolution(x, 8 * strides, strides, f"a{stage}"))
        y = convolution(y, 8 * strides, 1, f"b{stage}")
        x = x if strides == 1 else convolution(x, 16, 2, "shortcut")
        x = layers.ReLU(name=f"relu{stage}")(x + y if stage else layers.Add(name="first_add")([x, y]))
    x = layers.GlobalAveragePooling2D(keepdims=True, name="pool")(x)
    x = layers.Flatten()(layers.Conv2D(5, 1, name="classifier")(x))
    return keras.Model(image, layers.Softmax(name="softmax")(x), name="residual")


def preactivated():
    image = keras.Input((8, 8, 3), name="image")
    x = layers.Conv2D(8, 3, padding="same", name="stem")(layers.BatchNormalization(name="input_bn")(image))
    for stage in range(2):
        y = layers.ReLU()(layers.BatchNormalization(name=f"pre{stage}_bn")(x))
        y = layers.Conv2D(8, 3, padding="same", name=f"a{stage}")(y)
        y = layers.ReLU()(layers.BatchNormalization(name=f"mid{stage}_bn")(y))
        x = layers.Add(name=f"add{stage}")([x, layers.Conv2D(8, 1, name=f"b{stage}")(y)])
    x = layers.BatchNormalization(name="post_bn")(x)
    x = layers.GlobalMaxPooling2D(name="peak")(layers.ReLU()(x))
    x = layers.BatchNormalization(name="vector_bn")(x)
    return keras.Model(image, layers.Dense(5, name="logits")(x), name="preactivated")


def branches():
    image = keras.Input((8, 8, 3), name="image")
    x = layers.Conv2D(8, 3, padding="same", activation="relu", name="stem")(image)
    parts = [
        layers.Conv2D(4, 1, activation="relu", name="one")(x),
        layers.Conv2D(4, 3, padding="same", activation="relu", name="three")(x),
        layers.Conv2D(4, 1, activation="relu", name="after_max")(layers.MaxPooling2D(3, 1, padding="same")(x)),
        layers.Conv2D(4, 1, activation="relu", name="after_mean")(layers.AveragePooling2D(3, 1, padding="same")(x)),
        x,
    ]
    x = layers.Concatenate(name="join")(parts)
    x = layers.Conv2D(8, 1, name="squeeze")(x)
    y = layers.Concatenate(axis=1, name="stack")([x, layers.Conv2D(8, 3, padding="same", name="again")(x)])
    y = layers.AveragePooling2D((2, 3), name="thin")(y)
    x = layers.Dense(5, name="logits")(layers.GlobalMaxPooling2D(keepdims=True, name="peak")(y))
    return keras.Model(image, layers.Reshape((5,))(x), name="branches")


def pooled():
    image = keras.Input((9, 9, 3), name="image")
    x = layers.ZeroPadding2D(((1, 2), (0, 1)), name="frame")(image)
    x = layers.Conv2D(8, 3, activation="relu", name="stem")(x)
    x = layers.MaxPooling2D(3, 2, padding="same", name="max_same")(x)
    x = layers.Conv2D(8, 1, name="signed")(layers.ZeroPadding2D(1, name="frame2")(x))
    x = layers.MaxPooling2D((2, 1), name="max_valid")(x)
    x = layers.Conv2D(8, 1, activation="relu", name="middle")(x)
    x = layers.AveragePooling2D(2, padding="same", name="mean_same")(x)
    x = layers.Conv2D(8, 1, name="late")(x)
    x = layers.AveragePooling2D((1, 2), 1, name="mean_valid")(x)
    x = layers.Reshape((-1, 8), name="tokens")(x)
    x = layers.Dense(4, name="mixing")(x)
    x = layers.Dense(5, name="logits")(layers.Flatten()(x))
    return keras.Model(image, x, name="pooled")


def sequence():
    x = signal = keras.Input((24, 3), name="signal")
    x = layers.Conv1D(8, 5, strides=2, padding="same", name="same")(x)
    x = layers.ReLU()(layers.BatchNormalization(name="same_bn")(x))
    x = layers.Conv1D(8, 3, padding="causal", dilation_rate=2, activation="relu", name="causal")(x)
    y = layers.Conv1D(8, 3, padding="same", groups=2, name="grouped")(x)
    x = layers.Add(name="add")([x, y])
    x = layers.Conv1D(6, 4, padding="valid", name="valid")(x)
    x = layers.BatchNormalization(name="valid_bn")(x)
    x = layers.Dense(5, name="logits")(layers.Flatten()(x))
    return keras.Model(signal, x, name="sequence")


def several():
    left, right = keras.Input((6, 6, 2), name="left"), keras.Input((6, 6, 2), name="right")
    share = layers.Conv2D(6, 3, padding="same", name="share")
    a, b = layers.ReLU(name="ra")(share(left)), layers.ReLU(name="rb")(share(right))
    total = layers.Add(name="total")([a, b])
    again = layers.Conv2D(6, 1, name="again")
    x = layers.BatchNormalization(name="common_bn")(again(total))
    y = again(layers.ReLU(name="rt")(x))
    pooled = layers.GlobalAveragePooling2D(name="pool")(y)
    outputs = {
        "kind": layers.Dense(5, activation="softmax", name="head")(pooled),
        "map": layers.Conv2D(3, 1, name="mask")(x),
    }
    return keras.Model({"one": left, "two": right}, outputs, name="several")


def sums():
    image = keras.Input((6, 6, 4), name="image")
    parts = [layers.Conv2D(6, 1, name=f"part{i}")(image) for i in range(4)]
    x = layers.ReLU()(layers.Add(name="three")(parts[:3]))
    y = layers.Conv2D(6, 3, padding="same", name="next")(x)
    x = layers.Add(name="four")([x, y, parts[3], parts[0]])
    x = layers.Add(name="twice")([x, x])
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(image, layers.Dense(5, name="logits")(x), name="sums")


MODELS = {f.__name__: f for f in (plain, normalized, residual, preactivated, branches, pooled, sequence, several, sums)}


def randomized(model, seed=0):
    """Gives a model weights as after training: every variable differs from its start, some gammas negative or zero."""
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        for variable in getattr(layer, "weights", []):
            shape, name = tuple(variable.shape), variable.name.split("/")[-1].split(":")[0]  # of either Keras
            if name.endswith("kernel"):
                depthwise = type(layer).__name__ == "DepthwiseConv2D"
                fan_in = np.prod(shape[:2]) if depthwise else np.prod(shape[:-1])
                value = rng.normal(0, 1.2 / np.sqrt(fan_in), shape)
            elif name == "gamma":
                value = rng.choice([-1, 1], shape) * rng.uniform(0.5, 1.5, shape)
                value[rng.random(shape) < 0.15] = 0
            elif name == "moving_variance":
                value = rng.uniform(0.3, 1.5, shape)
            else:
                value = rng.normal(0, 0.2, shape)
            variable.assign(value)
    return model


def samples(model, seed=1):
    rng = np.random.default_rng(seed)
    arrays = [rng.normal(0, 1, (SAMPLES, *tensor.shape[1:])).astype(np.float32) for tensor in model.inputs]
    return dict(zip(("one", "two"), arrays, strict=True)) if len(arrays) > 1 else arrays[0]


def fixed_model(model, pairs, data, **arguments):
    """Relaxes, calibrates and fixes a model, its layers at the given pairs in turn."""
    arguments = {"weight_bits": (1, 4), "activation_bits": (2, 4), **arguments}
    relaxed = tfmp.relax(model, calibration=data, **arguments)
    assignment = {}
    for index, layer in enumerate(framework_of(relaxed).read(relaxed).searched):
        weight_bits, activation_bits = pairs[index % len(pairs)]
        assignment[layer.name] = weight_bits, max(activation_bits, 2) if layer.activation.signed else activation_bits
    return tfmp.fix(relaxed, assignment)


def by_input(graph, data):
    return data if isinstance(data, dict) else {graph.inputs[0]: data}


def codes_of(graph, data):
    """Codes by tensor, and the numbers of inputs and outputs, from the NumPy model."""
    return integer_reference.run(graph, by_input(graph, data))


def check_against_reference(graph, folded, data):
    """Every tensor of the folded model equals the NumPy model's; a softmax is within 1, and then gives the codes."""
    expected = codes_of(graph, data)
    every = keras.Model(folded.inputs, [folded.get_layer(operation.name).output for operation in graph.operations])
    found = every([by_input(graph, data)[name] for name in graph.inputs])
    found = {operation.output: np.asarray(each) for operation, each in zip(graph.operations, found, strict=True)}
    exact = True
    for operation in graph.operations:
        exact = exact and operation.kind != "softmax"
        if exact:
            np.testing.assert_array_equal(found[operation.output], expected[operation.output], operation.name)
        else:
            inputs = [found[name].astype(np.int64) for name in operation.inputs]
            again = integer_reference.compute(graph, operation, inputs)
            tolerance = 1 if operation.kind == "softmax" else 0
            np.testing.assert_allclose(found[operation.output], again, rtol=0, atol=tolerance)


def operation_of(model, name):
    return next(operation for operation in model.operations if operation.name == name)


def first_call(graph, name):
    return next(call for call in graph.calls if call.layer == name)


def outputs_by_name(graph, outputs):
    outputs = outputs if isinstance(outputs, dict) else {graph.output_names[0]: outputs}
    return {name: np.asarray(value) for name, value in outputs.items()}


def check_outputs(graph, fixed, folded, data, *, top1):
    """End to end, where roundings to few bits add up, the fixed and the folded model agree on most classes."""
    floats, integers = (outputs_by_name(graph, model(data, training=False)) for model in (fixed, folded))
    assert set(floats) == set(integers) == set(graph.output_names)
    sources = {operation.output: operation.inputs[0] for operation in graph.operations}
    for name, tensor in zip(graph.output_names, graph.outputs, strict=True):
        same = floats[name].argmax(-1) == integers[name].argmax(-1)
        assert same.mean() >= top1, name
        step = graph.tensors[sources[tensor]].grid.scale
        assert np.median(np.abs(floats[name] - integers[name])) <= 4.5 * step, name


def check_kernels(graph, fixed, content):
    """The file holds the codes of training, shifted; with its scales they are the kernels of the fixed model."""
    model = framework_of(fixed).read(fixed)
    stored = stored_tensors(content)
    compared = set()
    for operation in graph.operations:
        layer = operation.layer and operation_of(fixed, operation.layer)
        if not getattr(layer, "weight_selector", None):
            continue
        kernel = keras.ops.array(keras.ops.convert_to_numpy(layer.kernel))
        codes, scale = (np.asarray(each) for each in layer.weight_selector.codes(kernel))
        np.testing.assert_array_equal(codes * scale, layer.weight_selector(kernel))
        channels = graph.tensors[operation.output].shape[-1]
        codes = codes.reshape(-1, channels)
        own = f"{operation.name}/kernel"
        held, scales = stored[own if own in stored else f"{layer.name}/kernel"]  # a second call shares the first's
        held = held.reshape(-1, channels) if operation.kind == "depthwise_conv2d" else held.reshape(channels, -1).T
        factor = np.ones(channels)
        reader = model.layer_of(model.readers(first_call(model, layer.name).outputs[0])[0])
        if reader.kind == "batch_normalization" and operation.kind != "batch_normalization":
            values = reader.weights
            factor = values.get("gamma", 1) / np.sqrt(values["moving_variance"] + reader.attributes["epsilon"])
        for channel in range(channels):
            nonzero = codes[:, channel] != 0
            if not held[:, channel].any():  # a filter of zeros, or one that a gamma of zero makes so
                assert not nonzero.any() or abs(factor[channel]) < 1e-6
                continue
            shifts = np.unique(held[nonzero, channel] / codes[nonzero, channel])
            assert len(shifts) == 1 and np.log2(np.abs(shifts[0])) % 1 == 0, operation.name
            assert not held[~nonzero, channel].any()
        wanted = codes * np.broadcast_to(scale.reshape(-1), channels) * factor
        np.testing.assert_allclose(held * scales.astype(np.float64), wanted, rtol=1e-6, atol=1e-12)
        compared.add(layer.name)
    assert compared == {layer.name for layer in fixed.layers if getattr(layer, "weight_selector", None)}


def stored_tensors(content):
    """`(codes, scales)` of every constant of a file, by name."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(content, 0))
    found = {}
    for tensor in model.subgraphs[0].tensors:
        data = model.buffers[tensor.buffer].data
        if data is not None and tensor.type == schema.TensorType.INT8:
            found[tensor.name.decode()] = np.array(data).view(np.int8).reshape(tensor.shape), tensor.quantization.scale
    return found


def check_file(fixed, data, path):
    report = tfmp.export_tflite(fixed, path, verify=data, tolerance=UNTRAINED)
    for operator in report.operators:
        tolerance = (1, 0.99) if operator.kind == "softmax" else (0, 1)
        assert operator.largest_difference <= tolerance[0] and operator.equal_share >= tolerance[1], operator
    assert report.folded.equal_share >= 0.99
    assert all(output.top1_agreement is None or output.top1_agreement >= 0.99 for output in report.folded.outputs)
    return path.read_bytes()


CASES = [(name, "low") for name in MODELS]
CASES += [(name, "mixed") for name in ("plain", "normalized", "residual", "branches", "several")]
CASES += [(name, "eight") for name in ("preactivated", "pooled")]


@pytest.mark.default_cases(
    "residual-mixed",
    "preactivated-eight",
    "branches-low",
    "several-mixed",
    "sums-low",
)
@pytest.mark.parametrize(("name", "bits"), CASES)
def test_the_models_the_reference_and_the_file_agree(name, bits, tmp_path):
    keras.utils.set_random_seed(0)
    model = randomized(MODELS[name]())
    data = samples(model)
    fixed = fixed_model(model, BITS[bits], data)
    graph, folded = fold_graph(framework_of(fixed).read(fixed)), tfmp.fold(fixed)
    check_against_reference(graph, folded, data)
    *_, compared = check_segments(fixed, by_input(graph, data))
    assert compared.keys() & {"conv2d", "dense"}
    check_outputs(graph, fixed, folded, data, top1=0.97 if bits == "eight" else 0.8)
    content = check_file(fixed, data, tmp_path / "model.tflite")
    check_kernels(graph, fixed, content)


DUAL_PRECISION = {"quantizer": "dual_precision", "weight_bits": (1, 2, 4), "activation_bits": (1, 2, 4)}


@pytest.mark.default_cases("residual-*", "normalized-pairs3-*")
@pytest.mark.parametrize(
    ("name", "pairs", "arguments"),
    [
        ("residual", [(2, 2), (4, 3), (1, 4)], {"quantizer": "hwgq"}),
        ("plain", [(3, 3), (2, 4)], {"quantizer": ("hwgq", "lsq")}),
        ("normalized", [(1, 4), (2, 1), (4, 2)], DUAL_PRECISION),
        ("normalized", [(4, 4), (8, 8), (2, 3)], {"quantizer": ("linear", "moving_range"), "weight_bits": (2, 4)}),
        ("normalized", [(2, 4), (8, 8), (4, 2)], {"first_and_last": "search"}),
        ("sequence", [(3, 4), (4, 3)], {"shared_range": False, "relaxation": "gumbel", "weight_bits": (3, 4)}),
    ],
)
def test_other_quantizers_and_other_first_and_last_layers(name, pairs, arguments, tmp_path):
    keras.utils.set_random_seed(0)
    model = randomized(MODELS[name]())
    data = samples(model)
    fixed = fixed_model(model, pairs, data, **{"activation_bits": (3, 4), **arguments})
    graph, folded = fold_graph(framework_of(fixed).read(fixed)), tfmp.fold(fixed)
    check_against_reference(graph, folded, data)
    check_segments(fixed, by_input(graph, data))
    check_outputs(graph, fixed, folded, data, top1=0.8)
    check_kernels(graph, fixed, check_file(fixed, data, tmp_path / "model.tflite"))
    if arguments.get("first_and_last") == "search":
        report = tfmp.export_tflite(fixed, tmp_path / "again.tflite")
        assert report.bits["first"] == (2, 4) and report.bits["logits"] != (8, 8)


def built_by_hand(normalization, *, bias=True, bits=4):
    """A convolution of ours with a normalization that no transform has touched."""
    image = keras.Input((6, 6, 3), name="image")
    x = tfmp.layers.MixedPrecisionConv2D(
        8, 3, weight_bits=bits, activation_bits=8, signed_input=True, use_bias=bias, name="conv"
    )(image)
    x = layers.ReLU()(normalization(x))
    x = tfmp.layers.MixedPrecisionConv2D(4, 1, weight_bits=2, activation_bits=3, name="point")(x)
    model = keras.Model(image, tfmp.layers.Quantize(8, name="out")(x), name="by_hand")
    data = samples(model)
    model(data, training=True)  # ranges
    return model, data


GAMMAS = {
    "negative": [-1, -0.5, -2, -0.01, 1, 0.5, 2, 0.01],
    "vanishing": [0, 1e-9, -1e-9, 1e-20, 0, -0.0, 1e-4, 1],
}


@pytest.mark.default_cases("negative-1", "negative-4", "vanishing-2", "vanishing-8")
@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("kind", GAMMAS)
def test_normalization_of_any_sign_and_size(kind, bits, tmp_path):
    keras.utils.set_random_seed(0)
    model, data = built_by_hand(layers.BatchNormalization(name="bn"), bits=bits)
    bn = model.get_layer("bn")
    bn.gamma.assign(GAMMAS[kind])
    bn.beta.assign([0.3, -0.2, 0.9, 0.1, 0, 0.4, 0.5, -0.3])
    bn.moving_mean.assign([0.1, -0.2, 0.3, 0, 0, 0.2, -0.5, 0.1])
    model.get_layer("conv").bias.assign(np.linspace(-0.5, 0.5, 8))
    graph, folded = fold_graph(framework_of(model).read(model)), tfmp.fold(model)
    check_against_reference(graph, folded, data)
    check_segments(model, by_input(graph, data))
    check_outputs(graph, model, folded, data, top1=0.9)
    content = check_file(model, data, tmp_path / "model.tflite")
    if kind == "negative":
        check_kernels(graph, model, content)


@pytest.mark.parametrize("gamma", [0.0, 1e-9, -1e-9, 1e-4, -0.7])
def test_normalization_that_stands_alone_of_any_sign_and_size(gamma, tmp_path):
    keras.utils.set_random_seed(0)
    image = keras.Input((5, 5, 4), name="image")
    x = tfmp.layers.Quantize(8, name="stored")(image)
    x = layers.BatchNormalization(name="bn")(x)
    x = tfmp.layers.MixedPrecisionConv2D(4, 1, weight_bits=2, activation_bits=4, signed_input=True, name="point")(x)
    model = keras.Model(image, tfmp.layers.Quantize(8, name="out")(x))
    data = samples(model)
    model(data, training=True)
    model.get_layer("bn").gamma.assign([1, gamma, 1, gamma])
    model.get_layer("bn").beta.assign([0.3, -0.5, 0, 0.5])
    graph, folded = fold_graph(framework_of(model).read(model)), tfmp.fold(model)
    check_against_reference(graph, folded, data)
    *_, compared = check_segments(model, by_input(graph, data))
    assert "depthwise_conv2d" in compared
    check_file(model, data, tmp_path / "model.tflite")


def test_bias_that_is_large_for_its_channel_stays_in_32_bits(tmp_path):
    # One-bit codes are shifted by six bits where there is room; a bias of 2**29 units leaves room for less.
    model, data = built_by_hand(layers.BatchNormalization(name="bn"), bits=1)
    model.get_layer("bn").gamma.assign(np.geomspace(1e-9, 1e-5, 8))
    model.get_layer("bn").beta.assign(np.full(8, 0.9))
    graph, folded = fold_graph(framework_of(model).read(model)), tfmp.fold(model)
    (conv,) = (operation for operation in graph.operations if operation.name == "conv")
    assert np.all(conv.constants["bias"] > 0) and conv.constants["bias"].max() > 2**28
    assert len(np.unique(np.abs(conv.constants["kernel"]).max(axis=(0, 1, 2)))) > 3
    check_against_reference(graph, folded, data)
    check_segments(model, by_input(graph, data))
    check_file(model, data, tmp_path / "model.tflite")


def test_addition_of_a_branch_that_is_all_but_zero(tmp_path):
    # The runtime adds tensors of comparable scales: the small one is put on a coarser grid.
    image = keras.Input((4, 4, 3), name="image")
    stored = tfmp.layers.Quantize(8, name="stored")(image)
    dead = tfmp.layers.MixedPrecisionConv2D(3, 1, weight_bits=4, activation_bits=8, signed_input=True, name="dead")
    total = layers.Add(name="total")([stored, tfmp.layers.Quantize(8, name="small")(dead(stored))])
    model = keras.Model(image, tfmp.layers.Quantize(8, name="out")(total))
    dead.kernel.assign(np.random.default_rng(0).normal(0, 1e-6, (1, 1, 3, 3)))
    dead.weight_selector.calibrate(keras.ops.convert_to_numpy(dead.kernel))
    data = samples(model)
    model(data, training=True)
    graph, folded = fold_graph(framework_of(model).read(model)), tfmp.fold(model)
    check_against_reference(graph, folded, data)
    check_file(model, data, tmp_path / "model.tflite")
    assert np.abs(folded(data) - data).max() < np.ptp(data) / 255


def test_tensor_that_is_always_zero(tmp_path):
    # Its range is all but zero, and so the factor onto its grid far beyond what the runtime takes.
    def conv(**arguments):
        return tfmp.layers.MixedPrecisionConv2D(3, 1, weight_bits=4, activation_bits=8, **arguments)

    keras.utils.set_random_seed(0)
    image = keras.Input((4, 4, 3), name="image")
    stored = tfmp.layers.Quantize(8, name="stored")(image)
    x = conv(activation="relu", signed_input=True, name="dead")(stored)
    x = conv(quantizer=("lsq", "moving_range"), name="behind")(tfmp.layers.Quantize(8, signed=False, name="zero")(x))
    total = layers.Add(name="total")([stored, tfmp.layers.Quantize(8, name="constant")(x)])
    model = keras.Model(image, tfmp.layers.Quantize(8, name="out")(total))
    data = samples(model)
    model.get_layer("dead").bias.assign([-100, -100, -100])
    model.get_layer("behind").bias.assign([0.1, 0.2, -0.3])
    model(data, training=True)
    graph, folded = fold_graph(framework_of(model).read(model)), tfmp.fold(model)
    operations = {operation.name: operation for operation in graph.operations}
    assert graph.tensors["dead"].grid.scale < 1e-10
    assert np.all(graph.multiplier(operations["dead"]) > 250)
    check_against_reference(graph, folded, data)
    check_outputs(graph, model, folded, data, top1=0.95)
    check_file(model, data, tmp_path / "model.tflite")
    model.get_layer("dead").bias.assign([1, 1, 1])  # alive after all: beyond its range everywhere, as in training
    graph, folded = fold_graph(framework_of(model).read(model)), tfmp.fold(model)
    check_against_reference(graph, folded, data)
    assert set(np.unique(codes_of(graph, data)["dead"])) <= {0, 255}
    check_outputs(graph, model, folded, data, top1=0.95)
    model.get_layer("dead").bias.assign([-1e8, -1e6, 1e8])  # far beyond: sums that the runtime's 32 bits must hold
    check_file(model, data, tmp_path / "far.tflite")


def test_fold_reads_the_model_as_it_is_now():
    keras.utils.set_random_seed(0)
    model = randomized(normalized())
    data = samples(model)
    fixed = fixed_model(model, [(4, 4)], data)
    before = fixed.get_weights()
    first = tfmp.fold(fixed).predict_on_batch(data)
    for weight, value in zip(fixed.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, value)
    for layer in fixed.layers:
        if hasattr(layer, "bias") and layer.bias is not None:
            layer.bias.assign(layer.bias + 0.1)
    graph, folded = fold_graph(framework_of(fixed).read(fixed)), tfmp.fold(fixed)
    assert (folded.predict_on_batch(data) != first).any()
    check_against_reference(graph, folded, data)
    check_outputs(graph, fixed, folded, data, top1=0.9)


def test_folded_model_saves_and_does_not_train(tmp_path):
    keras.utils.set_random_seed(0)
    model = randomized(branches())
    data = samples(model)
    folded = tfmp.fold(fixed_model(model, [(2, 3)], data))
    assert not folded.trainable_weights
    folded.save(tmp_path / "folded.keras")
    again = tfmp.load_model(tmp_path / "folded.keras")
    np.testing.assert_array_equal(again.predict_on_batch(data), folded(data))


def test_fold_under_a_policy_of_mixed_precision():
    keras.utils.set_random_seed(0)
    model = randomized(plain())
    data = samples(model)
    fixed = fixed_model(model, [(4, 4)], data)
    expected = tfmp.fold(fixed)(data)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        np.testing.assert_array_equal(tfmp.fold(fixed)(data), expected)
    finally:
        keras.config.set_dtype_policy(before)


def test_sequential_model(tmp_path):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((6, 6, 3)),
            layers.Conv2D(8, 3, activation="relu", name="first"),
            layers.Conv2D(8, 3, name="second"),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.GlobalAveragePooling2D(),
            layers.Dense(4, activation="softmax", name="last"),
        ]
    )
    data = samples(randomized(model))
    fixed = fixed_model(model, [(2, 2)], data)
    graph, folded = fold_graph(framework_of(fixed).read(fixed)), tfmp.fold(fixed)
    check_against_reference(graph, folded, data)
    check_kernels(graph, fixed, check_file(fixed, data, tmp_path / "model.tflite"))


def test_names_of_inputs_and_outputs_are_the_users():
    def names(model):
        graph = fold_graph(framework_of(model).read(fixed_model(model, [(4, 4)], samples(model))))
        return graph.inputs, graph.output_names

    assert names(plain()) == (("image",), ("probabilities",))
    assert names(several()) == (("one", "two"), ("kind", "map"))


def test_additions_of_many_tensors_become_pairs():
    model = randomized(sums())
    data = samples(model)
    relaxed = tfmp.relax(model, weight_bits=8, activation_bits=8, calibration=data)
    added = [layer.name for layer in relaxed.layers if isinstance(layer, layers.Add)]
    assert added == ["three_part", "three", "four_part", "four_part_1", "four", "twice"]
    wide = tfmp.relax(model, first_and_last="float", layers="next")
    np.testing.assert_array_equal([len(wide.get_layer(name).input) for name in ("three", "four")], [3, 4])
    expected = model(data)
    assert np.abs(relaxed(data) - expected).max() < 0.05 * np.ptp(expected)


def test_network_far_deeper_than_the_recursion_limit():
    x = signal = keras.Input((4,), name="signal")
    for index in range(60):
        x = tfmp.layers.MixedPrecisionDense(4, weight_bits=4, activation_bits=8, name=f"d{index}", signed_input=True)(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
    model = keras.Model(signal, tfmp.layers.Quantize(name="out")(x))
    model(samples(model), training=True)
    graph = framework_of(model).read(model)
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack(0)) + 150)
    try:
        folded = fold_graph(graph)
    finally:
        sys.setrecursionlimit(limit)
    assert [operation.kind for operation in folded.operations] == ["quantize", *["dense"] * 60, "dequantize"]
