"""Models whose folding is tested, and the checks of fixed and folded models and files."""

import keras
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from keras import layers

import tfmp
from tests.tflite import integer_reference
from tfmp.bindings.framework import framework_of

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
