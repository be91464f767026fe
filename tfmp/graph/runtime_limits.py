"""Limits of the TFLite runtime, and how each was found.

Measured with ai-edge-litert 2.3 and XNNPACK on x86, one thread; `tests/tflite/operators_test.py` runs the operators at
these limits. XNNPACK computes exactly what `IntegerOperation` says. Operators that it refuses run in the runtime's own
kernels, which round twice. Those of softmax, gelu, average pooling with padding, max pooling with strides beyond the
window and concatenation of more than `LARGEST_CONCATENATION` tensors are exact, only slower.
"""

import numpy as np

# int8 holds 256 codes.
INT8_LOW, INT8_HIGH = -128, 127
CODE_SPAN = INT8_HIGH - INT8_LOW
# The offset from int8 to uint8 codes: QUANTIZE between the two shifts the zero point by it.
UINT8_OFFSET = 128
# Largest magnitude of an int8 code minus its zero point.
LARGEST_INPUT = CODE_SPAN
# Kernels that add two products in 16 bits overflow with -128 times -128: kernel codes are -127 to 127.
LARGEST_KERNEL_CODE = INT8_HIGH

# Smaller numbers are subnormal; the runtime accepts none of them as a scale, and aborts the process for some.
SMALLEST_SCALE = float(np.finfo(np.float32).smallest_normal)
# With a factor from accumulator to output of 256 or more, XNNPACK refuses the operator, and the runtime the file.
MULTIPLIER_LIMIT = 2.0**8
# Kernels round accumulator times factor to 32 bits before they add the zero point and clip; above this, the sign flips.
LARGEST_PRODUCT = 2.0**31 - 256
# Biases are int32.
LARGEST_BIAS = 2.0**31
# Packed codes: 16 times each product is added in 32 bits; the bias gets half of the range, the products the other half.
LARGEST_PACKED_BIAS = LARGEST_PACKED_SUM = 2**26

# The containers of kernels besides int8, in bits: only FULLY_CONNECTED runs them in XNNPACK. CONV_2D refuses 2 bits
# and rounds twice with 4.
PACKED_BITS = (4, 2)
# Positions of the largest window for which XNNPACK has a fast depthwise kernel. Averages over larger ones take 6 to 12
# times as long by a depthwise convolution as by AVERAGE_POOL_2D, over smaller ones a third to an eighth.
LARGEST_FAST_WINDOW = 25
# XNNPACK does not concatenate more tensors.
LARGEST_CONCATENATION = 5
# Both runtimes compute with at most so many axes. With 7, LiteRT refuses some operators and computes others wrongly.
LARGEST_RANK = 6
# The same in TensorFlow Lite for Microcontrollers for TRANSPOSE and SLICE, which with 6 axes ends the process; and the
# most inputs of its CONCATENATION.
MICRO_MOVED_AXES, MICRO_CONCATENATION = 5, 10

# Smallest and largest scale of an input, in output scales, with which XNNPACK adds or subtracts; the largest excluded.
SUM_RATIOS = (2.0**-10, 2.0**8)
# The same for the product of both input scales in a multiplication.
PRODUCT_RATIOS = (2.0**-16, 2.0**8)
# The same for the factors of a leaky ReLU, for x >= 0 and (in magnitude) for x < 0; both included.
LEAKY_RELU_FACTORS = (2.0**-8, 2.0**7 - 2.0**-8)
# The scale, smallest and largest code that the TFLite specification prescribes for functions with a bounded range.
BOUNDED_OUTPUTS = {"sigmoid": (1 / 256, 0, 255), "tanh": (1 / 128, -128, 127), "softmax": (1 / 256, 0, 255)}

# Fractional bits of the factors in kernels: of addition, of a leaky ReLU, of bilinear interpolation.
SUM_BITS, LEAKY_RELU_BITS, RESIZE_BITS = 20, 8, 11
# The same in the addition of TensorFlow Lite for Microcontrollers.
FIXED_POINT_SUM_BITS = 20

# The schema gives CONCATENATION a fused activation; XNNPACK ignores it.
NEVER_FUSED = ("CONCATENATION",)
# Output types of ARG_MAX and ARG_MIN.
INDEX_TYPES = ("int32", "int64")
# The schema requires that the content of buffers is aligned to this many bytes.
BUFFER_ALIGNMENT = 16
