import keras
import numpy as np
import pytest

import tfmp
from tests.transform.small_networks import inputs_for, residual

BITS = {"inside": (1, 4), "before_addition": (4, 2), "after_addition": (2, 3)}
CANDIDATES = {"weight_bits": (1, 2, 4), "activation_bits": (2, 3, 4)}


@pytest.mark.parametrize("relaxation", ["softmax", "annealed", "gumbel"])
def test_the_assigned_bits_get_their_probability(relaxation):
    model = tfmp.relax(residual(), relaxation=relaxation, **CANDIDATES)
    if relaxation == "annealed":
        model.get_layer("inside").weight_selector.temperature.assign(0.3)
    tfmp.initialize_search(model, BITS, confidence=0.8)
    for name, pair in BITS.items():
        layer = model.get_layer(name)
        for selector, bits in zip((layer.weight_selector, layer.activation_selector), pair, strict=True):
            expected = np.where(np.array(selector.bits) == bits, 0.8, 0.1)
            np.testing.assert_allclose(selector.probabilities(), expected, rtol=1e-5)


@pytest.mark.slow
def test_a_search_decides_so_when_nothing_pushes_otherwise():
    model = tfmp.relax(residual(), calibration=inputs_for(residual()), **CANDIDATES)
    tfmp.initialize_search(model, tfmp.BitAssignment(BITS))
    search = tfmp.MixedPrecisionSearch(eta=0.0)
    model.compile(tfmp.SelectionOptimizer("sgd", keras.optimizers.SGD(0.01)), "mse", run_eagerly=True)
    before = [np.asarray(v) for v in model.trainable_variables if v.name == "logits"]
    model.fit(inputs_for(model), np.ones((16, 3)), epochs=3, callbacks=[search], verbose=0)
    after = [np.asarray(v) for v in model.trainable_variables if v.name == "logits"]
    assert any(np.any(old != new) for old, new in zip(before, after, strict=True))  # it did train
    assert tfmp.discretize(model).bits == BITS
    budget = tfmp.Budget("bitops", limit=tfmp.cost(model, "bitops", BITS))
    assert tfmp.discretize(model, strategy="budget", budget=budget).bits == BITS


def test_a_tensor_without_a_choice_needs_none():
    model = tfmp.relax(residual(), weight_bits=(2, 4), activation_bits=(3,))
    tfmp.initialize_search(model, dict.fromkeys(BITS, (4, 3)))
    assert tfmp.discretize(model).bits == dict.fromkeys(BITS, (4, 3))


def test_bad_arguments_change_nothing():
    model = tfmp.relax(residual(), **CANDIDATES)
    before = [np.asarray(v) for v in model.variables]
    for assignment, confidence, message in (
        ({**BITS, "inside": (3, 4)}, 0.9, "`inside`: 3 bits are not a candidate. Expected one of 1, 2, 4"),
        ({**BITS, "after_addition": (2, 8)}, 0.9, "`after_addition`: 8 bits"),
        ({"inside": (1, 4)}, 0.9, "lacks: before_addition"),
        (BITS, 1.0, "above 0.333.*below 1"),
        (BITS, 1 / 3, "above 0.333"),
    ):
        with pytest.raises(ValueError, match=message):
            tfmp.initialize_search(model, assignment, confidence=confidence)
    assert all(np.array_equal(v, value) for v, value in zip(model.variables, before, strict=True))
