"""Base of the layer that computes one integer operation."""

import tensorflow as tf

from tfmp.annotations import KerasMixin
from tfmp.checks import check_choice
from tfmp.graph import Grid
from tfmp.graph.targets import FLOATING_POINT
from tfmp.operators import OPERATIONS
from tfmp.ops import integer

_DEFAULTS = {
    "padding": "valid",
    "dilation": (1, 1),
    "groups": 1,
    "keepdims": False,
    "axis": -1,
    "arithmetic": FLOATING_POINT,
}


class IntegerOperationMixin(KerasMixin):
    """Computes one `tfmp.graph.IntegerOperation` on codes, whole numbers in float32 tensors.

    Its results equal those of the runtime. It has no gradient. Numbers that are not codes have their own dtype.

    Args:
        kind: Kind of the operation.
        input_grids: One `(scale, low, high)` per input, None for a floating-point input.
        grid: `(scale, low, high)` of the output, None for a floating-point output.
        attributes: Attributes of the operation.
        output_shape: Shape of the output, the batch first.
        constant_shapes: Shapes of the constants by name, empty if there are none.
        output_dtype: Dtype of an output of numbers; codes are float32.

    Input shape: as in the operation. Output shape: `output_shape`.
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
        # A mixed-precision policy would cast codes to float16.
        super().__init__(**{"trainable": False, "dtype": "float32", **kwargs})
        self.supports_jit = False  # XLA rounds differently
        self.kind = check_choice("kind", kind, OPERATIONS, where=f"Layer `{self.name}`")
        self.input_grids = [None if entry is None else Grid(*entry) for entry in input_grids]
        self.grid = None if grid is None else Grid(*grid)
        self.attributes = dict(attributes)
        self.fixed_output_shape = tuple(output_shape)
        self.constant_shapes = {name: tuple(shape) for name, shape in constant_shapes.items()}
        self.output_dtype = output_dtype

    def build(self, *_):
        # Codes and accumulators up to 2**53 are exact in float64 variables; int32 variables are not on every device.
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
        return tf.ensure_shape(outputs, (None, *self.fixed_output_shape[1:]))  # only the file has a fixed batch size

    def _compute(self, tensors):
        strides = self.attributes.get("pool_size", (1, 1))
        operation = integer.Operation(
            kind=self.kind,
            input_grids=self.input_grids,
            grid=self.grid,
            attributes={**_DEFAULTS, "strides": strides, **self.attributes},
            output_shape=self.fixed_output_shape,
            output_dtype=self.output_dtype,
            constants={name: tf.convert_to_tensor(getattr(self, f"{name}_constant")) for name in self.constant_shapes},
        )
        compute = OPERATIONS[self.kind].compute or integer.compute
        return compute(tensors, operation)

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
