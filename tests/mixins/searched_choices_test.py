"""All probabilities and prices of a model at once, against each layer's own."""

import numpy as np
import pytest

from tests.mixins.three_layers import MACS, randomize_logits, search_model
from tfmp.mixins.searched_choices import SearchedChoices


@pytest.mark.parametrize("relaxation", ["softmax", "annealed"])
def test_reads_and_writes_what_each_layer_has(relaxation):
    model = search_model(relaxation=relaxation)
    layers = {name: model.get_layer(name) for name in MACS}
    choices, rng = SearchedChoices(layers), np.random.default_rng(0)
    for seed in range(2):  # the second time, it is traced already
        randomize_logits(model, seed)
        if relaxation == "annealed":
            layers["two"].weight_selector.temperature.assign(0.5 + seed)
        found = choices.probabilities()
        assert [*found] == [*layers]
        for name, layer in layers.items():
            for actual, selector in zip(found[name], (layer.weight_selector, layer.activation_selector), strict=True):
                assert actual.dtype == np.float64
                np.testing.assert_allclose(actual, selector.probabilities(), rtol=1e-6)
        prices = {name: rng.normal(size=(3, 2)) for name in layers}
        choices.set_prices(prices)
        for name, layer in layers.items():
            np.testing.assert_array_equal(layer.selection_cost.price, np.float32(prices[name]))


def test_a_tensor_that_is_not_quantized_has_one_candidate():
    model = search_model()
    layer = model.get_layer("three")
    layer.activation_selector = None
    weight, activation = SearchedChoices({"three": layer}).probabilities()["three"]
    assert weight.shape == (3,)
    np.testing.assert_array_equal(activation, [1.0])
