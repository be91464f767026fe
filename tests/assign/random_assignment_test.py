import numpy as np
import pytest

import tfmp
from tests.transform.small_networks import residual
from tfmp.bindings.framework import framework_of
from tfmp.graph import BitAssignment

WEIGHT_BITS, ACTIVATION_BITS = (1, 2, 3, 4), (2, 3, 4)
BUDGET = tfmp.Budget("bitops", like_uniform=(2, 3))


def test_it_spends_the_budget_and_fixes_the_model():
    model = tfmp.relax(residual(), weight_bits=WEIGHT_BITS, activation_bits=ACTIVATION_BITS)
    uniform = dict.fromkeys(tfmp.discretize(model), (2, 3))
    rest = tfmp.cost(model, "bitops", uniform) - BUDGET.limit_for(framework_of(model).read(model))
    draws = [tfmp.assign.at_random(model, BUDGET, seed=seed, tolerance=0.1) for seed in range(8)]
    assert len({str(draw) for draw in draws}) > 4
    assert draws[3] == tfmp.assign.at_random(model, BUDGET, seed=3, tolerance=0.1)
    for draw in draws:
        searched = draw.costs["bitops"] - rest
        assert 0.9 <= searched / (tfmp.cost(model, "bitops", uniform) - rest) <= 1
        assert draw.provenance["strategy"] == "random" and BitAssignment.from_json(draw.to_json()).bits == draw.bits
    fixed = tfmp.fix(model, draws[0], calibration=np.zeros((2, *model.input_shape[1:])))
    assert tfmp.cost(fixed, "bitops") == draws[0].costs["bitops"]


def test_without_open_bits():
    with pytest.raises(ValueError, match="no layer whose bits are open.*tfmp.relax"):
        tfmp.assign.at_random(residual(), BUDGET)
