"""The accuracy of a file is that of its own outputs."""

import numpy as np
import pytest
import tensorflow as tf

import tfmp
from tests.tflite.random_graphs import one_operation, weights
from tfmp.graph import Grid
from tfmp.tflite.interpreter import Interpreter
from tfmp.tflite.writer.write_tflite import write_tflite

INPUTS = np.random.default_rng(0).uniform(-4, 4, (50, 6)).astype(np.float32)
LABELS = np.random.default_rng(1).integers(0, 4, 50)


def classifier(units=4):
    constants = weights(np.random.default_rng(2), (6, units), units)
    grids = [Grid(0.05, -128, 127)], Grid(0.5, -128, 127)
    return one_operation("dense", [(6,)], grids[0], (units,), grids[1], constants=constants)


@pytest.fixture
def path(tmp_path):
    (tmp_path / "model.tflite").write_bytes(write_tflite(classifier(), batch_size=8))
    return tmp_path / "model.tflite"


def test_accuracy_is_that_of_the_interpreters_outputs(path):
    scores = Interpreter(path).run(INPUTS)["answer"]
    expected = float(np.mean(scores.argmax(-1) == LABELS))
    assert 0 < expected < 1
    one_hot = np.eye(4)[LABELS]
    dataset = tf.data.Dataset.from_tensor_slices((INPUTS, LABELS)).batch(7)
    for data in (
        (INPUTS, LABELS),
        [INPUTS, LABELS.tolist()],
        (INPUTS, LABELS[:, None]),
        (INPUTS, one_hot),
        ({"input_0": INPUTS}, LABELS),
        dataset,
        dataset.map(lambda inputs, labels: ({"input_0": inputs}, tf.one_hot(labels, 4))),
    ):
        assert tfmp.evaluate_tflite(path, data) == pytest.approx(expected, abs=1e-12)
    assert tfmp.evaluate_tflite(str(path), (INPUTS, scores.argmax(-1))) == 1


def test_scores_in_codes(path):
    expected = tfmp.evaluate_tflite(path, (INPUTS, LABELS))
    for dtype in ("int8", "uint8"):
        path.write_bytes(write_tflite(classifier(), output_type=dtype))
        assert tfmp.evaluate_tflite(path, (INPUTS, LABELS)) == expected


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (INPUTS, r"must be \(inputs, targets\).*Received: ndarray"),
        (tf.data.Dataset.from_tensor_slices(INPUTS).batch(5), r"or batches of these"),
        ([(INPUTS, LABELS), (INPUTS, LABELS)], "A list is read as one array per input"),
        (tf.data.Dataset.from_tensor_slices((INPUTS, LABELS)).batch(5).take(0), "at least one sample"),
        ((INPUTS, LABELS[:-1]), r"equal length.*\(50, 6\), \(49,\)"),
        ((INPUTS, LABELS[:, None, None]), r"class indices of shape \(50,\).*Received: \(50, 1, 1\)"),
        ((INPUTS, np.eye(5)[LABELS]), r"one-hot of shape \(50, 4\).*Received: \(50, 5\)"),
        ((INPUTS[:, :4], LABELS), "must have the shape"),
        ((INPUTS[:0], LABELS[:0]), "at least one sample"),
        ((INPUTS * np.nan, LABELS), "must be finite"),
        (({"input_0": INPUTS * np.inf}, LABELS), "must be finite"),
        ((INPUTS, LABELS + 1), "whole numbers from 0 to 3.*int64 labels, among them 1, 4"),
        ((INPUTS, LABELS - 1), "whole numbers from 0 to 3.*among them -1, 2"),
        ((INPUTS, LABELS + 0.5), "whole numbers from 0 to 3.*float64"),
        ((INPUTS, LABELS.astype(str)), "whole numbers from 0 to 3.*<U"),
    ],
)
def test_data_that_does_not_fit(data, message, path):
    with pytest.raises(ValueError, match=message):
        tfmp.evaluate_tflite(path, data)


def test_files_that_are_none(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere.tflite"):
        tfmp.evaluate_tflite(tmp_path / "nowhere.tflite", (INPUTS, LABELS))
    (tmp_path / "broken.tflite").write_bytes(b"no model")
    with pytest.raises(ValueError, match="complete TFLite file"):
        tfmp.evaluate_tflite(tmp_path / "broken.tflite", (INPUTS, LABELS))
