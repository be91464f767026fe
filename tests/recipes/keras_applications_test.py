import pytest

from recipes import keras_applications
from tests.costs.network_sizes import TOLERANCE_BYTES


@pytest.mark.slow
@pytest.mark.parametrize("name", keras_applications.NETWORKS)
def test_files_agree_with_their_models_and_weigh_what_was_foreseen(name):
    record = keras_applications.run(name, image_size=64, classes=100, seed=0)
    assert record["layers"]["searched"] > 0.5 * (record["layers"]["searched"] + record["layers"]["kept"])
    for mode in keras_applications.MODES:
        found = record[mode]
        assert found["smallest_equal_share"] >= 0.999, found["first_operator_beyond_1"]
        assert found["largest_operator_difference"] <= 1
        # Twice, since weights at random leave some biases equal, which the file stores once.
        assert abs(found["predicted_bytes"] - found["bytes"]) <= 2 * TOLERANCE_BYTES
    assert record["small"]["bytes"] < record["fast"]["bytes"] < record["float_bytes"] / 2
