import keras
import pytest

from recipes import keras_applications
from tests.costs.network_sizes import TOLERANCE_BYTES


def test_the_networks_are_those_of_the_installed_keras():
    names = list(keras_applications.all_networks())
    assert {"ConvNeXtTiny", "InceptionResNetV2", "NASNetMobile", "VGG19"} <= set(names)
    assert all(callable(getattr(keras.applications, name)) for name in names)
    first = keras_applications.first_networks()
    assert {"ConvNeXtTiny", "EfficientNetV2B0", "MobileNetV3Small", "ResNet50"} <= set(first) < set(names)


@pytest.mark.slow
@pytest.mark.parametrize("name", keras_applications.first_networks())
def test_files_agree_with_their_models_and_weigh_what_was_foreseen(name):
    record = keras_applications.run(name, image_size=64, classes=100, seed=0)
    assert record["layers"]["searched"] > 0.5 * (record["layers"]["searched"] + record["layers"]["kept"])
    assert record["float"]["end_to_end_equal_share"] >= 0.9  # a sum in another order crosses a threshold here and there
    for mode in keras_applications.MODES:
        found = record[mode]
        assert found["smallest_equal_share"] >= 0.999, found["first_operator_beyond_1"]
        assert found["largest_operator_difference"] <= 1
        # Twice, since weights at random leave some biases equal, which the file stores once.
        assert abs(found["predicted_bytes"] - found["bytes"]) <= 2 * TOLERANCE_BYTES
    assert record["small"]["bytes"] < record["fast"]["bytes"] < record["float_bytes"] / 2
