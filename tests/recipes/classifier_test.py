import numpy as np
import pytest

from recipes import classifier


@pytest.mark.parametrize("first_epoch", [0, 3])
def test_a_training_that_begins_later_has_the_rest_of_the_decay(first_epoch):
    rate = classifier.cosine(0.1, 8, 5, first_epoch=first_epoch)
    again = type(rate).from_config(rate.get_config())
    for step in (0, 7, 24):
        share = (5 * first_epoch + step) / 40
        expected = 0.1 * (1 + np.cos(np.pi * share)) / 2
        assert [float(rate(step)), float(again(step))] == pytest.approx([expected] * 2, abs=1e-8)  # single precision
