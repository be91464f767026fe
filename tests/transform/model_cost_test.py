import itertools

import keras
import numpy as np
import pytest
from keras import layers as kl

import tfmp
from tests.transform.small_networks import residual, shared_layer

# Multiply-accumulates by hand: positions x kernel x channels in x channels out.
MACS = {
    "first": 64 * 9 * 3 * 4,
    "inside": 64 * 9 * 4 * 4,
    "before_addition": 64 * 9 * 4 * 4,
    "after_addition": 16 * 9 * 4 * 5,
    "head": 5 * 3,
}
SEARCHED = ("inside", "before_addition", "after_addition")


def relaxed_model(**options):
    return tfmp.relax(residual(), **{"weight_bits": (1, 3), "activation_bits": (2, 4), **options})


def test_a_float_model_counts_32_bits():
    assert tfmp.cost(residual(), "bitops") == 32 * 32 * sum(MACS.values())
    assert tfmp.cost(residual(), "flops") == sum(MACS.values())
    assert tfmp.cost(residual(), "model_size") == 32 * residual().count_params()


def test_an_assignment_costs_the_sum_over_the_layers():
    bits = {"inside": (1, 4), "before_addition": (3, 2), "after_addition": (3, 4)}
    expected = sum(MACS[name] * weights * activations for name, (weights, activations) in bits.items())
    expected += 8 * 8 * (MACS["first"] + MACS["head"])
    model = relaxed_model()
    assert tfmp.cost(model, "bitops", bits) == expected
    assert tfmp.cost(model, tfmp.costs.get("bitops"), tfmp.graph.BitAssignment(bits)) == expected
    fixed = tfmp.fix(model, bits)
    assert tfmp.cost(fixed, "bitops") == expected
    assert tfmp.cost(fixed, "model_size") == tfmp.cost(model, "model_size", bits)


def test_bits_that_are_no_candidates_have_a_price_too():
    bits = {"inside": (2, 8), "before_addition": (8, 5), "after_addition": (3, 4)}
    model = relaxed_model()
    assert tfmp.cost(model, "bitops", bits) == tfmp.cost(tfmp.fix(model, bits), "bitops")


@pytest.mark.parametrize("cost", ["bitops", "model_size", "flops"])
def test_expected_cost_is_the_mean_over_all_assignments(cost):
    model = relaxed_model(layers=["inside", "after_addition"])
    rng = np.random.default_rng(0)
    probabilities = []
    for name in ("inside", "after_addition"):
        layer = model.get_layer(name)
        for selector in (layer.weight_selector, layer.activation_selector):
            selector.logits.assign(rng.normal(size=2))
            p = np.exp(np.asarray(selector.logits, np.float64))
            probabilities.append(p / p.sum())
    expected = 0.0
    for choice in itertools.product((0, 1), repeat=4):
        bits = {
            name: ((1, 3)[choice[2 * i]], (2, 4)[choice[2 * i + 1]])
            for i, name in enumerate(("inside", "after_addition"))
        }
        probability = np.prod([p[c] for p, c in zip(probabilities, choice, strict=True)])
        expected += probability * tfmp.cost(model, cost, bits)
    assert tfmp.cost(model, cost) == pytest.approx(expected, rel=1e-6)


def test_every_call_of_a_shared_layer_counts():
    twice = 36 * 9 * 3 * 3
    first, head = 36 * 9 * 2 * 3, 108 * 2
    model = tfmp.relax(shared_layer(), weight_bits=(2, 4), activation_bits=(3,))
    assert tfmp.cost(model, "bitops", {"twice": (4, 3)}) == 2 * 4 * 3 * twice + 64 * (first + head)


def test_grouped_kernels_count_their_groups():
    model = keras.Sequential([keras.Input((4, 4, 6)), kl.Conv2D(9, 3, groups=3, padding="same", use_bias=False)])
    assert tfmp.cost(model, "flops") == 16 * 9 * 2 * 9
    assert tfmp.cost(model, "model_size") == 32 * 9 * 2 * 9


def test_bad_arguments():
    model = relaxed_model()
    with pytest.raises(ValueError, match="bitops"):
        tfmp.cost(model, "wrong")
    with pytest.raises(TypeError, match="name of a cost or a"):
        tfmp.cost(model, 3)
    with pytest.raises(ValueError, match="it lacks: before_addition"):
        tfmp.cost(model, "bitops", {"inside": (1, 2)})
    with pytest.raises(ValueError, match="1 to 8"):
        tfmp.cost(model, "bitops", {name: (9, 2) for name in SEARCHED})
    with pytest.raises(ValueError, match="no layer whose bits are open"):
        tfmp.cost(residual(), "bitops", {"inside": (1, 2)})
