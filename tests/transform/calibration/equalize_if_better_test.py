import numpy as np
import pytest
from keras import layers

import tfmp
from tests.transform.edits.equalized_test import chain
from tests.transform.small_networks import inputs_for
from tfmp.bindings.framework import framework_of
from tfmp.transform.calibration.equalize_if_better import EQUALIZED, equalize_if_better
from tfmp.transform.edits.floating_point import in_floating_point

TENSOR = ("lsq(granularity='tensor')", "lsq")
pytestmark = pytest.mark.filterwarnings("ignore:The calibration data differ")


@pytest.fixture(scope="module")
def network():
    model = chain(layers.ReLU)
    depthwise, pointwise = model.get_layer("depthwise"), model.get_layer("pointwise")
    factor = np.geomspace(1, 100, 8).astype(np.float32)  # cancels in floating point
    depthwise.kernel.assign(depthwise.kernel * factor.reshape(1, 1, 4, 2))
    depthwise.bias.assign(depthwise.bias * factor)
    pointwise.kernel.assign(pointwise.kernel / factor.reshape(1, 1, 8, 1))
    return model, inputs_for(model, 32)


def equalization(model, x, quantizer):
    """The fixed network, its variables before, and the result of its equalization."""
    fixed = tfmp.quantize(model, (4, 8), calibration=x, quantizer=quantizer, post_training="ranges")
    before = [np.asarray(variable) for variable in fixed.variables]
    exact = np.asarray(model(x), np.float64)

    def error(each):
        return float(np.square(np.asarray(each(x)) - exact).mean() / exact.var())

    floating = in_floating_point(framework_of(fixed).read(fixed))
    return fixed, before, error, *equalize_if_better(fixed, floating, [x], error)


def test_a_kernel_with_one_step_is_equalized_if_that_is_better(network):
    model, x = network
    fixed, _, error, floating, errors = equalization(model, x, TENSOR)
    assert errors[EQUALIZED] < 0.8 * errors["ranges"]
    assert error(fixed) == errors[EQUALIZED]
    exact = np.asarray(model(x))
    written = np.asarray(framework_of(fixed).write(floating)(x))
    np.testing.assert_allclose(written, exact, atol=1e-5 * np.abs(exact).max())


def test_what_is_worse_changes_nothing(network):
    model, x = network
    fixed = tfmp.quantize(model, (4, 8), calibration=x, quantizer=TENSOR, post_training="ranges")
    before = [np.asarray(variable) for variable in fixed.variables]
    floating = in_floating_point(framework_of(fixed).read(fixed))
    equalize_if_better(fixed, floating, [x], lambda each: float(each is not fixed))
    for variable, value in zip(fixed.variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)


def test_kernels_with_a_step_for_every_channel_are_left(network):
    model, x = network
    fixed, before, _, _, errors = equalization(model, x, ("linear", "lsq"))
    assert errors == {}
    for variable, value in zip(fixed.variables, before, strict=True):
        np.testing.assert_array_equal(variable, value)
