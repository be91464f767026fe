r"""Writes the tables of docs/can_my_model_be_exported.md from what `tfmp.inspect` says of small models.

    python tools/exportable_tables.py            # rewrites the tables between their marks
    python tools/exportable_tables.py --check    # fails if the page shows something else

Every layer of `keras.layers` is built between layers with a kernel; so is every function of `keras.ops` that takes one
tensor or two, and the functions of TensorFlow that models of tf_keras call most.
"""

import dataclasses
import functools
import inspect
import pathlib
import re
import sys

import keras
import tensorflow as tf
import tf_keras
from absl import app, flags

import tfmp
from tfmp.files.atomic_file import write_atomically
from tfmp.operators.operator_table import function_names

PAGE = pathlib.Path(__file__).resolve().parents[1] / "docs" / "can_my_model_be_exported.md"
_MARKS = re.compile(r"(<!-- exportable: (\w+) -->\n).*?(<!-- end of table -->)", re.DOTALL)
_GENERIC = re.compile(r"it is (an?|the operation) `\w+`, which has no integer form|it computes `.*`, which has no .*")
_ELSE = re.compile(r"(Else )?`mode=.*")
_SHAPES = ((8, 8, 4), (8, 4), (8,), (4, 8, 8, 4), (8, 8, 3))
# Of constructors, where they have no default.
_ARGUMENTS = {
    "activation": "relu",
    "axes": 2,
    "cell": lambda: keras.layers.LSTMCell(4),
    "dims": (2, 1),
    "equation": "abc,cd->abd",
    "factor": 0.2,
    "filters": 4,
    "function": abs,
    "height": 4,
    "height_factor": 0.2,
    "input_dim": 9,
    "kernel_size": 3,
    "key_dim": 4,
    "layer": lambda: keras.layers.LSTM(4),
    "layers": lambda: [keras.layers.RandomFlip()],
    "n": 2,
    "num_heads": 2,
    "output_dim": 4,
    "output_shape": (8, 4),
    "output_size": 2,
    "pool_size": 2,
    "rate": 0.1,
    "scale": 0.5,
    "stddev": 0.1,
    "target_shape": (-1, 2),
    "units": 4,
    "width": 4,
    "width_factor": 0.2,
}
_OF_LAYERS = {
    "GroupNormalization": {"groups": 2},
    "GroupQueryAttention": {"head_dim": 4, "num_query_heads": 2, "num_key_value_heads": 1},
    "RandomPosterization": {"factor": 4},
    "STFTSpectrogram": {"frame_length": 4, "frame_step": 2, "fft_length": 4},
    "SpectralNormalization": {"layer": lambda: keras.layers.Dense(4)},
    "TimeDistributed": {"layer": lambda: keras.layers.Dense(4)},
}
# What is no layer of a model by itself, or reads other tensors than these.
_LEFT_OUT = """
    CategoryEncoding ConvLSTM3D Discretization Equalization FlaxLayer GRUCell HashedCrossing Hashing InputLayer
    IntegerLookup JaxLayer LSTMCell Layer MaxNumBoundingBoxes SimpleRNNCell StackedRNNCells StringLookup TFSMLayer
    TextVectorization TorchModuleWrapper Wrapper
""".split()
# Other forms of layers: code in which `layers` is `keras.layers`.
_FORMS = [
    *(f'layers.Activation("{name}")' for name in function_names()),
    'layers.Activation("softplus")',
    "layers.Activation(layers.ReLU())",
    "layers.BatchNormalization(axis=1)",
    'layers.Conv2D(4, 3, data_format="channels_first")',
    "layers.Conv2DTranspose(4, 3, dilation_rate=2)",
    'layers.EinsumDense("abc,bcd->abd", (8, 2))',
    "layers.TimeDistributed(layers.Conv2D(4, 3))",
    "layers.Conv2DTranspose(4, 3, strides=2, output_padding=1)",
    "layers.ELU(0.5)",
    'layers.MaxPooling2D(data_format="channels_first")',
    "layers.ReLU(negative_slope=0.1)",
    "layers.ReLU(threshold=0.5)",
    "layers.Softmax(axis=1)",
    'layers.UpSampling2D(interpolation="bilinear")',
    'layers.UpSampling2D(interpolation="bicubic")',
    "LayerOfYourOwn()",
    "SubclassOfModel()",
]
# Functions of tensors `x` and `y` beside those of `keras.ops` that take one or two.
_OPERATIONS = [
    *("x + 1", "2 - x", "x * 0.5", "x / 3", "-x", "x + y", "x - y", "x * y", "x / y", "1 / x", "x[:, 1:]"),
    "ops.clip(x, 0, 6)",
    "ops.clip(x, -1, 6)",
    "ops.maximum(x, 0)",
    "ops.concatenate([x, y])",
    "ops.mean(x, (1, 2))",
    "ops.mean(x, -1, keepdims=True)",
    "ops.max(x, (1, 2))",
    "ops.reshape(x, (-1, 8, 32))",
    "ops.transpose(x, (0, 2, 1, 3))",
    "ops.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))",
    "ops.matmul(x, ops.transpose(y, (0, 1, 3, 2)))",
    "ops.image.resize(x, (4, 4))",
]
_TENSORFLOW = [
    *("x + 1", "2 - x", "x * 0.5", "x / 3", "-x", "x + y", "x - y", "x * y", "x / y", "1 / x", "x[:, 1:]"),
    *(f"tf.{name}(x)" for name in ("identity", "nn.elu", "nn.relu", "nn.relu6", "nn.silu", "sigmoid", "tanh")),
    *(f"tf.{name}(x)" for name in ("abs", "exp", "nn.leaky_relu", "nn.softmax", "nn.softplus", "sqrt", "square")),
    "tf.clip_by_value(x, 0, 6)",
    "tf.concat([x, y], -1)",
    "tf.image.resize(x, (4, 4))",
    "tf.matmul(x, y, transpose_b=True)",
    "tf.maximum(x, 0)",
    'tf.nn.avg_pool(x, 2, 2, "VALID")',
    'tf.nn.max_pool2d(x, 2, 2, "VALID")',
    "tf.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))",
    "tf.reduce_max(x, (1, 2))",
    "tf.reduce_mean(x, (1, 2))",
    "tf.reshape(x, (-1, 16, 16))",
    "tf.transpose(x, (0, 2, 1, 3))",
]


@keras.saving.register_keras_serializable("exportable_tables")
class LayerOfYourOwn(keras.layers.Layer):
    """Stands for a layer of a user."""

    def call(self, x):
        return x * x


@keras.saving.register_keras_serializable("exportable_tables")
class SubclassOfModel(keras.Model):
    """Stands for a model whose structure is hidden in code."""

    def call(self, x):
        return x * x


def unbuilt():
    """A model without variables."""
    return keras.Sequential([keras.layers.Dense(3)], name="model")


def subclassed():
    """A model whose structure is hidden in code."""
    model = SubclassOfModel(name="model")
    model.build((None, 4))
    return model


class Forgetful(keras.layers.Layer):
    """A layer that does not say with which arguments it was made."""

    def __init__(self, function, **kwargs):
        super().__init__(**kwargs)
        self.function = function

    def call(self, x):
        return self.function(x)


def forgetful():
    """A model with such a layer."""
    return model_of(keras, lambda x, _: Forgetful(abs, name="forgetful")(x), (8,))


def convolutions():
    """A model whose second layer reads numbers of either sign."""
    return model_of(keras, lambda x, _: keras.layers.Dense(4, name="signed")(x), (8,))


_REFUSED = {
    "a model without an input shape": lambda: tfmp.relax(unbuilt()),
    "a subclass of `keras.Model`": lambda: tfmp.relax(subclassed()),
    "a layer without a full `get_config`": lambda: tfmp.relax(forgetful()),
    "a model that is relaxed or fixed": lambda: tfmp.relax(tfmp.relax(convolutions())),
    "no layer between the first and the last": lambda: tfmp.relax(
        keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="only")], name="model")
    ),
    "1 bit for an input that can be negative": lambda: tfmp.relax(convolutions(), activation_bits=(1, 2)),
    "8 bits of `hwgq` for weights": lambda: tfmp.relax(
        convolutions(), quantizer=("hwgq", "lsq"), weight_bits=(4, 8), activation_bits=4
    ),
    "`linear` for activations": lambda: tfmp.relax(convolutions(), quantizer="linear", weight_bits=2),
}


@functools.cache
def tensors_of(package, shape):
    """Returns an input, and what two layers with a kernel make of it."""
    image = package.Input(shape, name="image")
    return image, *(package.layers.Dense(shape[-1], name=name)(image) for name in ("before", "beside"))


def model_of(package, function, shape):
    """Returns a model with a function of two tensors between layers with a kernel."""
    image, *tensors = tensors_of(package, shape)
    x = package.layers.Dense(4, name="after")(function(*tensors))
    return package.Model(image, package.layers.Dense(3, name="head")(x), name="model")


def said_of(package, function, *, is_layer=False):
    """Returns what `tfmp.inspect` says of a layer or of a function of tensors, in the first model that it fits in.

    Args:
        package: `keras` or `tf_keras`.
        function: Makes the layer; or takes one tensor or two.
        is_layer: True if it makes a layer.

    Returns:
        Its row and the outlook of integers in a model that can be exported in integers, otherwise in the first one;
        None if it fits in no model.
    """
    blocked = None
    for shape in _SHAPES if is_layer else _SHAPES[:1]:
        for call in (lambda f, x, y: f(x), lambda f, x, y: f([x, y]), lambda f, x, y: f(x, y)):
            try:
                layer = function() if is_layer else function
                report = tfmp.inspect(model_of(package, lambda x, y, f=layer, call=call: call(f, x, y), shape))
            except Exception:  # it takes no such tensors
                continue
            rows = [row for row in report.rows if row.name not in ("before", "beside", "after", "head")]
            if is_layer:  # and its parts
                rows = [row for row in rows if row.name == layer.name or row.name.startswith(f"{layer.name}_")]
            if rows and not any(row.blocks for row in rows):
                return _summary(rows, layer.name if is_layer else ""), report.exports["fast"]
            if rows:  # perhaps it fits in another model: layers need not check what they are given
                row = next(row for row in rows if row.blocks)
                blocked = blocked or (row, report.exports["fast"])
    return blocked


def _summary(rows, name):
    """Returns the row with a name, or else the last one, which says what of all of them runs in floating point."""
    row = next((row for row in rows if row.name == name), rows[-1])
    floating = next((each for each in rows if each.float_bytes is not None), row)
    return dataclasses.replace(row, reason=row.reason or floating.reason, float_bytes=floating.float_bytes)


def layers_table():
    """Every layer of Keras, and other forms of some."""
    rows = {}
    for class_name in sorted(dir(keras.layers)):
        layer_class = getattr(keras.layers, class_name)
        is_layer = isinstance(layer_class, type) and issubclass(layer_class, keras.layers.Layer)
        is_alias = is_layer and layer_class.__name__ != class_name and hasattr(keras.layers, layer_class.__name__)
        if is_layer and not is_alias and class_name not in _LEFT_OUT:
            rows[class_name] = said_of(keras, _maker(layer_class, class_name), is_layer=True)
    names = {"layers": keras.layers, "LayerOfYourOwn": LayerOfYourOwn, "SubclassOfModel": SubclassOfModel}
    for code in _FORMS:
        rows[code.removeprefix("layers.")] = said_of(keras, eval(f"lambda: {code}", names), is_layer=True)
    return _table(rows)


def operations_table():
    """Functions of Keras on tensors."""
    rows = {code: said_of(keras, eval(f"lambda x, y: {code}", {"ops": keras.ops})) for code in _OPERATIONS}
    functions = {name: getattr(keras.ops, name) for name in sorted(dir(keras.ops))}
    said = {name: said_of(keras, function) for name, function in functions.items() if inspect.isfunction(function)}
    rows |= {f"ops.{name}": found for name, found in said.items() if found is not None and not found[0].blocks}
    return (
        _table(rows) + "| every other function of `keras.ops` | float | no | it has no operators in the runtime |  |\n"
    )


def tensorflow_table():
    """Functions of TensorFlow on tensors of tf_keras."""
    return _table({code: said_of(tf_keras, eval(f"lambda x, y: {code}", {"tf": tf})) for code in _TENSORFLOW})


def refused_table():
    """What `tfmp.relax` refuses, in its words."""
    lines = ["| refused | the error |", "|---|---|"]
    for label, call in _REFUSED.items():
        try:
            call()
        except ValueError as error:
            lines.append(f"| {label} | {' '.join(str(error).split())} |")
        else:
            raise RuntimeError(f"`tfmp.relax` does not refuse {label}. Take it out of the table.")
    return "\n".join(lines) + "\n"


def _maker(layer_class, name):
    parameters = inspect.signature(layer_class.__init__).parameters.values()
    needed = [p.name for p in parameters if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD]
    given = {name: _ARGUMENTS[name] for name in needed if name in _ARGUMENTS} | _OF_LAYERS.get(name, {})

    def make():
        return layer_class(**{key: value() if inspect.isfunction(value) else value for key, value in given.items()})

    return make


def _table(rows):
    """One line for what has equal answers and no more to say, and one for each of the others."""
    missing = [label for label, found in rows.items() if found is None]
    if missing:
        raise RuntimeError(f"These fit in no model: {', '.join(missing)}. Give them arguments, or leave them out.")
    merged = {}
    for label, (row, outlook) in rows.items():
        reason = "it has no integer form" if _GENERIC.fullmatch(row.reason) else row.reason
        key = row.status, _answer(row), reason, _ELSE.sub("", outlook.way_out).rstrip()
        merged.setdefault(key, []).append(label)
    order = ("searched", "8 bits", "follows", "float")
    lines = ["| | status | fast, small | why | what to write |", "|---|---|---|---|---|"]
    for key in sorted(merged, key=lambda key: (key[1] == "no", order.index(key[0]))):
        labels = ", ".join(f"`{label}`" for label in merged[key])
        lines.append(f"| {labels} | {' | '.join(key)} |")
    return "\n".join(lines) + "\n"


def _answer(row):
    if row.blocks:
        return "no"
    return "yes" if row.float_bytes is None else "yes, in floating point"


_TABLES = {
    "layers": layers_table,
    "operations": operations_table,
    "tensorflow": tensorflow_table,
    "refused": refused_table,
}


def with_tables(text):
    """Returns a page with updated tables."""
    return _MARKS.sub(lambda match: match[1] + _TABLES[match[2]]() + match[3], text)


def main(_):
    """Writes the page, or checks it."""
    text = PAGE.read_text()
    new = with_tables(text)
    if new == text:
        return
    if flags.FLAGS.check:
        sys.exit(f"{PAGE.name} is not up to date: run `python tools/exportable_tables.py`.")
    write_atomically(PAGE, new, overwrite=True)


if __name__ == "__main__":
    flags.DEFINE_bool("check", False, "Write nothing; fail if the page is not up to date.")
    app.run(main)
