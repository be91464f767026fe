"""What the TFLite runtime can hold and compute, each with how it was seen."""

import numpy as np

# Largest magnitude of an input of 8 bits less its zero point.
LARGEST_INPUT = 255
# Scales of the kernels that round to 32 bits before they clip and add the zero point.
LARGEST_PRODUCT = 2.0**31 - 256
# Smaller numbers have fewer digits; the runtime takes none of them for a scale, and ends the process for some.
SMALLEST_SCALE = float(np.finfo(np.float32).smallest_normal)
# The runtime adds 16 times each product of a packed code in 32 bits: the half for the bias, the half for products.
LARGEST_PACKED_BIAS = LARGEST_PACKED_SUM = 2**26
