"""Every fact about the TFLite runtime that the library relies on, each with how it was seen.

Seen with ai-edge-litert 2.3 and XNNPACK on x86, one thread; `tests/tflite/operators_test.py` runs the operators at
these limits. XNNPACK computes exactly what `IntegerOperation` says. What it refuses runs in the runtime's own kernels,
which round twice. But those of softmax, gelu, average pooling with padding, max pooling with strides beyond the window
and concatenation of more than `LARGEST_CONCATENATION` tensors are as exact, only slower.
"""

import numpy as np

# int8 holds 256 codes.
INT8_LOW, INT8_HIGH = -128, 127
CODE_SPAN = INT8_HIGH - INT8_LOW
# What uint8 adds to an int8 code: QUANTIZE between the two moves the zero point by so much.
UINT8_OFFSET = 128
# Largest magnitude of an int8 code less its zero point.
LARGEST_INPUT = CODE_SPAN
# Kernels that add two products in 16 bits overflow with -128 times -128: kernel codes are -127 to 127.
LARGEST_KERNEL_CODE = INT8_HIGH

# Smaller numbers have fewer digits; the runtime takes none of them for a scale, and ends the process for some.
SMALLEST_SCALE = float(np.finfo(np.float32).smallest_normal)
# With a factor from accumulator to output of 256 or more XNNPACK refuses the operator, and the runtime the whole file.
MULTIPLIER_LIMIT = 2.0**8
# Kernels round accumulator times factor to 32 bits before they add the zero point and clip: beyond, the sign flips.
LARGEST_PRODUCT = 2.0**31 - 256
# Biases are int32.
LARGEST_BIAS = 2.0**31
# Packed codes: 16 times each product is added in 32 bits, half of the room for the bias and half for the products.
LARGEST_PACKED_BIAS = LARGEST_PACKED_SUM = 2**26

# The containers of kernels besides int8, in bits: FULLY_CONNECTED alone runs them in XNNPACK. CONV_2D refuses 2 bits
# and rounds twice with 4.
PACKED_BITS = (4, 2)
# Of more tensors XNNPACK makes no concatenation.
LARGEST_CONCATENATION = 5

# Smallest and largest scale of an input, in output scales, with which XNNPACK adds or subtracts; the largest excluded.
SUM_RATIOS = (2.0**-10, 2.0**8)
# The same of the product of both input scales, with which it multiplies.
PRODUCT_RATIOS = (2.0**-16, 2.0**8)
# The same of the factors of a leaky ReLU, for x >= 0 and (without its sign) for x < 0; both included.
LEAKY_RELU_FACTORS = (2.0**-8, 2.0**7 - 2.0**-8)
# The scale, smallest and largest code that the format's specification gives to functions with a bounded range.
BOUNDED_OUTPUTS = {"sigmoid": (1 / 256, 0, 255), "tanh": (1 / 128, -128, 127), "softmax": (1 / 256, 0, 255)}

# Binary places of what kernels multiply codes by: addends, the factors of a leaky ReLU, the weights of neighbours.
SUM_BITS, LEAKY_RELU_BITS, RESIZE_BITS = 20, 8, 11

# The schema gives CONCATENATION a fused activation; XNNPACK ignores it.
NEVER_FUSED = ("CONCATENATION",)
# What ARG_MAX and ARG_MIN write.
INDEX_TYPES = ("int32", "int64")
# The schema asks that the content of buffers starts at a multiple of so many bytes.
BUFFER_ALIGNMENT = 16
