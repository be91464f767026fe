import numpy as np
import pytest
import tensorflow as tf

from tfmp.joint.cross_entropy import cross_entropy

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(6, 4))
CLASSES = RNG.integers(0, 4, 6)
LABELS = {
    "classes": CLASSES,
    "uint8": CLASSES.astype(np.uint8),
    "float": CLASSES.astype(np.float32),
    "column": CLASSES[:, None],
    "uint8 column": CLASSES.astype(np.uint8)[:, None],
    "one hot": np.eye(4)[CLASSES],
    "integer one hot": np.eye(4, dtype=np.int32)[CLASSES],
}


@pytest.mark.parametrize("labels", LABELS)
def test_labels_of_any_shape_have_one_loss(labels):
    probabilities = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)
    expected = -np.log(probabilities[np.arange(6), CLASSES]).mean()
    found = cross_entropy(tf.constant(LABELS[labels]), tf.constant(LOGITS))
    assert found.shape == () and found.numpy() == pytest.approx(expected, rel=1e-12)


def test_probabilities():
    found = cross_entropy(tf.fill([6, 4], tf.constant(0.25, tf.float64)), tf.constant(LOGITS))
    expected = np.log(np.exp(LOGITS).sum(axis=1)).mean() - LOGITS.mean()
    assert found.numpy() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("shape", [(), (6, 3), (6, 1, 1)], ids=str)
def test_other_shapes_are_an_error(shape):
    with pytest.raises(ValueError, match=r"probabilities, `\[samples, 4\]`. Received labels of shape"):
        cross_entropy(tf.zeros(shape, tf.int32), tf.constant(LOGITS))
