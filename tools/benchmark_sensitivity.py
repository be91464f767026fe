r"""Measures how long sensitivities take on a large network, and how long the bits of one more budget then take.

    python tools/benchmark_sensitivity.py --output=sensitivity.json
    python tools/benchmark_sensitivity.py --network=MobileNetV2 --method=output --images=64

A network of `keras.applications` with random weights and random images, at its own image size: neither changes the
time. Candidates are 2, 3, 4, 5, 6 and 8 bits for kernels and inputs.
"""

import json
import os
import platform
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from absl import app, flags

import tfmp
from tfmp.files.atomic_file import check_writable, write_atomically

_SHARED = {"allow_override": True}  # another program that tests load beside this one has such flags, too
_NETWORK = flags.DEFINE_string("network", "ResNet50", "A function of `keras.applications`.", **_SHARED)
_METHOD = flags.DEFINE_enum("method", "gradient", ["gradient", "output"], "As in `tfmp.measure_sensitivity`.")
_IMAGES = flags.DEFINE_integer("images", 256, "Number of images.", lower_bound=8)
_SIZE = flags.DEFINE_integer("size", None, "Height and width of the images; by default those of the network.")
_OUTPUT = flags.DEFINE_string("output", None, "JSON file for the result.", **_SHARED)
_OVERWRITE = flags.DEFINE_bool("overwrite", False, "Replace --output if it exists.", **_SHARED)

_CANDIDATES = (2, 3, 4, 5, 6, 8)
_BUDGETS = {"model_size": (4, 8), "bitops": (4, 4)}


def measure(network, method, num_images, size=None):
    """Returns wall times in seconds: of the scores, and of the bits of each budget by the scores."""
    keras.utils.set_random_seed(0)
    shape = None if size is None else (size, size, 3)
    model = getattr(keras.applications, network)(weights=None, input_shape=shape)
    images = np.random.default_rng(0).normal(size=(num_images, *model.input_shape[1:])).astype(np.float32)
    search_model = tfmp.relax(
        model,
        weight_bits=_CANDIDATES,
        activation_bits=_CANDIDATES,
        calibration=images[:16],
    )
    start, cpu = time.perf_counter(), time.process_time()
    sensitivity = tfmp.measure_sensitivity(search_model, images, method=method)
    result = {
        "network": network,
        "image_size": model.input_shape[1],
        "method": method,
        "num_images": num_images,
        "num_layers": len(sensitivity.scores),
        "scores_seconds": time.perf_counter() - start,
        "scores_cpu_seconds": time.process_time() - cpu,
        "budget_seconds": {},
    }
    for cost, bits in _BUDGETS.items():
        start = time.perf_counter()
        sensitivity.assign(tfmp.Budget(cost, like_uniform=bits))
        result["budget_seconds"][cost] = time.perf_counter() - start
    return result


def main(argv):
    """Measures and prints the times."""
    if len(argv) > 1:
        raise app.UsageError(f"Expected no arguments. Received: {argv[1:]}")
    if _OUTPUT.value:
        check_writable(_OUTPUT.value, _OVERWRITE.value)
    found = measure(_NETWORK.value, _METHOD.value, _IMAGES.value, _SIZE.value)
    print(f"scores of {found['num_layers']} layers: {found['scores_seconds']:.0f} s")
    for cost, seconds in found["budget_seconds"].items():
        print(f"bits within a budget of {cost}: {seconds:.2f} s")
    if _OUTPUT.value:
        found |= {
            "load_average": os.getloadavg()[0],
            "machine": platform.machine(),
            "versions": {"python": platform.python_version(), "keras": keras.__version__, "tensorflow": tf.__version__},
        }
        write_atomically(_OUTPUT.value, json.dumps(found, indent=2) + "\n", overwrite=_OVERWRITE.value)


if __name__ == "__main__":
    app.run(main)
