"""What packing gains on ResNet-18, first and last layer at 8 bits: the acceptance of mode "small"."""

import keras
import numpy as np
import pytest

import tfmp
from tests.costs.network_sizes import apart, check_size, different_channels
from tests.transform.fold_models import UNTRAINED, randomized
from tfmp import networks


@pytest.mark.slow
@pytest.mark.parametrize(("bits", "largest_share"), [(4, 0.60), (2, 0.40)])
def test_small_files_agree_as_fast_ones_do(bits, largest_share, tmp_path):
    keras.utils.set_random_seed(0)
    model = randomized(networks.get("resnet18")(keras, image_size=64))
    different_channels(model)
    images = np.random.default_rng(0).normal(size=(8, 64, 64, 3)).astype(np.float32)
    relaxed = tfmp.relax(model, weight_bits=(2, 4), activation_bits=(2, 4), calibration=images)
    searched = [layer.name for layer in relaxed.layers if len(getattr(layer, "weight_bits", ())) > 1]
    fixed = apart(tfmp.fix(relaxed, dict.fromkeys(searched, (bits, bits))))
    fast = check_size(fixed, tmp_path / "fast.tflite", mode="fast", verify=images, tolerance=UNTRAINED)
    small = check_size(fixed, tmp_path / "small.tflite", mode="small", verify=images, tolerance=UNTRAINED)
    for report in (fast, small):
        assert all(operator.equal_share == 1 for operator in report.operators)
        assert report.folded.equal_share == 1 and report.outside_xnnpack == ()
    print(f"W{bits}A{bits}: fast {fast.size_bytes:,} bytes, small {small.size_bytes:,}")
    assert small.size_bytes <= largest_share * fast.size_bytes
