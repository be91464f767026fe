import numpy as np
import pytest
import tensorflow as tf

from tfmp.relaxation.masked_mixture import centres


@pytest.mark.parametrize("strides", [1, 2, 3, 4])
def test_centre_of_a_kernel_is_the_smaller_kernel(strides):
    """With zeros around it, for every size of the image, as long as it leaves no pixel out."""
    rng = np.random.default_rng(strides)
    kernel = rng.normal(size=(7, 7, 2, 1)).astype(np.float32)
    sides = [side for side in (1, 3, 5, 7) if side >= strides]
    for size in range(5, 13):
        image = rng.normal(size=(1, size, size, 2)).astype(np.float32)
        for side, mask in zip(sides, centres(sides), strict=True):
            edge = (7 - side) // 2
            smaller = kernel[edge : 7 - edge, edge : 7 - edge]
            found, expected = (
                tf.nn.depthwise_conv2d(image, each, [1, strides, strides, 1], "SAME")
                for each in (kernel * mask, smaller)
            )
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
