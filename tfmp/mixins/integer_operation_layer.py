"""A Keras layer that computes one integer operation."""

import tensorflow as tf

from tfmp.annotations import KerasMixin
from tfmp.graph import Grid
from tfmp.ops import integer

_DEFAULTS = {"padding": "valid", "dilation": (1, 1), "groups": 1, "keepdims": False, "axis": -1}


class IntegerOperationMixin(KerasMixin):
    """Computes one `tfmp.graph.IntegerOperation` on codes, whole numbers in float32 tensors.

    Its results are those of the file's runtime. It has no gradient. Numbers that are no codes have their own dtype.

    Args:
        kind: Kind of the operation.
        input_grids: One `(scale, low, high)` per input, None for a floating-point input.
        grid: The output's, None for a floating-point output.
        attributes: Of the operation.
        output_shape: Shape of the output, the batch first.
        constant_shapes: Shapes of the constants by name, empty for kinds without.
        output_dtype: Dtype of an output of numbers; that of codes is float32.

    Input shape: as the operation's. Output shape: `output_shape`.
    """

    def __init__(
        self,
        kind,
        *,
        input_grids,
        grid,
        attributes,
        output_shape,
        constant_shapes,
        output_dtype="float32",
        **kwargs,
    ):
        # A policy of mixed precision would cast codes to float16.
        super().__init__(**{"trainable": False, "dtype": "float32", **kwargs})
        self.supports_jit = False  # XLA rounds otherwise
        self.kind = kind
        self.input_grids = [None if entry is None else Grid(*entry) for entry in input_grids]
        self.grid = None if grid is None else Grid(*grid)
        self.attributes = dict(attributes)
        self.fixed_output_shape = tuple(output_shape)
        self.constant_shapes = {name: tuple(shape) for name, shape in constant_shapes.items()}
        self.output_dtype = output_dtype

    def build(self, *_):
        # Codes and accumulators up to 2**53 are exact in float64 variables, int32 ones are not on every device.
        for name, shape in self.constant_shapes.items():
            variable = self.add_weight(name=name, shape=shape, initializer="zeros", trainable=False, dtype="float64")
            setattr(self, f"{name}_constant", variable)
        self.built = True

    def call(self, inputs):
        outputs = self._compute(list(inputs) if isinstance(inputs, list | tuple) else [inputs])
        if self.grid is not None:
            low = max(self.grid.low, self.attributes.get("low", self.grid.low))
            high = min(self.grid.high, self.attributes.get("high", self.grid.high))
            outputs = integer.clip(outputs, low, high)
        return tf.ensure_shape(outputs, (None, *self.fixed_output_shape[1:]))  # a fixed batch is that of the file alone

    def _compute(self, tensors):
        x, grid, input_grid = tensors[0], self.grid, self.input_grids[0]
        attributes = {**_DEFAULTS, "strides": self.attributes.get("pool_size", (1, 1)), **self.attributes}
        match self.kind:
            case "quantize":
                return integer.quantize(x, grid=grid)
            case "dequantize":
                return integer.dequantize(x, input_grid=input_grid)
            case "conv2d" | "depthwise_conv2d" | "conv2d_transpose" | "dense":
                return self._product(x, attributes)
            case "add":
                return integer.add(*tensors, grids=self.input_grids, grid=grid)
            case "subtract":
                return integer.add(*tensors, grids=self.input_grids, grid=grid, sign=-1)
            case "multiply":
                return integer.multiply(*tensors, grids=self.input_grids, grid=grid)
            case "activation":
                return integer.activation(x, input_grid=input_grid, grid=grid, attributes=attributes)
            case "mean":
                return integer.mean(x, input_grid=input_grid, grid=grid, keepdims=attributes["keepdims"])
            case "average_pool":
                return integer.average_pool(x, grid=grid, attributes=attributes)
            case "max_pool":
                return integer.max_pool(x, attributes=attributes)
            case "resize":
                return integer.resize(x, size=self.fixed_output_shape[1:3])
            case "pad":
                return integer.pad(x, attributes=attributes)
            case "slice":
                return integer.slice_codes(x, attributes=attributes)
            case "transpose":
                return tf.transpose(x, attributes["permutation"])
            case "reshape":
                return tf.reshape(x, (-1, *self.fixed_output_shape[1:]))
            case "concatenate":
                return tf.concat(tensors, attributes["axis"])
            case "softmax":
                return integer.softmax(x, input_grid=input_grid, grid=grid)
            case _ if self.kind in integer.NUMBERS:
                return integer.compute_numbers(self.kind, tensors, attributes=attributes, dtype=self.output_dtype)
        raise ValueError(f"Layer `{self.name}`: the operation {self.kind!r} is unknown.")

    def _product(self, x, attributes):
        kernel, bias, scale = (
            tf.convert_to_tensor(getattr(self, f"{name}_constant")) for name in ("kernel", "bias", "kernel_scale")
        )
        multiplier = integer.multiplier(scale, input_grid=self.input_grids[0], grid=self.grid)
        return integer.product(x, kernel, bias, multiplier, kind=self.kind, attributes=attributes)

    def compute_output_shape(self, *_):
        return self.fixed_output_shape

    def get_config(self):
        def triple(grid):
            return None if grid is None else (grid.scale, grid.low, grid.high)

        return {
            **super().get_config(),
            "kind": self.kind,
            "input_grids": [triple(grid) for grid in self.input_grids],
            "grid": triple(self.grid),
            "attributes": self.attributes,
            "output_shape": self.fixed_output_shape,
            "constant_shapes": self.constant_shapes,
            "output_dtype": self.output_dtype,
        }
