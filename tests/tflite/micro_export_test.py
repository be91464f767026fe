"""Files for microcontrollers compute every code of their folded models, within the bytes that were foreseen."""

import keras
import numpy as np
import pytest
import tf_keras

import tfmp
from tests.tflite.micro_check import needs_micro_runtime
from tfmp.costs import MicroArenaBytes, MicroBytes
from tfmp.tflite.micro_interpreter import MicroInterpreter

pytestmark = needs_micro_runtime
IMAGES = np.random.default_rng(0).normal(size=(6, 12, 12, 3)).astype(np.float32)
BITS = range(1, 9)


def network(framework):
    """All kinds of kernels, a sum, means, and a normalization with negative factors."""
    layers = framework.layers
    image = framework.Input((12, 12, 3), name="image")
    x = layers.ReLU()(layers.BatchNormalization(name="bn")(layers.Conv2D(16, 3, use_bias=False, name="stem")(image)))
    y = layers.ReLU()(layers.DepthwiseConv2D(3, padding="same", name="depthwise")(x))
    y = layers.Conv2D(16, 3, padding="same", name="convolution")(y)
    x = layers.ReLU()(layers.Add()([x, y]))
    x = layers.GlobalAveragePooling2D()(layers.AveragePooling2D(2)(x))
    x = layers.Dense(32, activation="relu", name="hidden")(x)
    model = framework.Model(image, layers.Dense(5, activation="softmax", name="classes")(x))
    rng = np.random.default_rng(1)
    for weight in model.weights:
        if len(weight.shape) == 1:
            positive = "variance" in weight.name
            weight.assign(rng.uniform(0.5, 1.5, weight.shape) if positive else rng.normal(0, 0.3, weight.shape))
    return model


def relaxed(framework):
    return tfmp.relax(network(framework), weight_bits=tuple(BITS), activation_bits=(8,), calibration=IMAGES)


@pytest.fixture(scope="module")
def search_model():
    return relaxed(keras)


def fixed_at(search_model, bits):
    return tfmp.fix(search_model, dict.fromkeys(tfmp.discretize(search_model), (bits, 8)))


@pytest.mark.default_cases("3", "4")
@pytest.mark.parametrize("bits", BITS)
def test_every_code_is_equal_and_the_bytes_are_foreseen(search_model, tmp_path, bits):
    fixed = fixed_at(search_model, bits)
    sizes = {}
    for mode in ("fast", "small"):
        path = tmp_path / f"{mode}.tflite"
        report = tfmp.export_tflite(fixed, path, target="micro", mode=mode, verify=IMAGES, tolerance=None)
        assert len(report.operators) > 8
        assert {operator.largest_difference for operator in report.operators} == {0}
        assert {output.signal_to_noise_db for output in report.folded.outputs} == {np.inf}
        assert tfmp.cost(fixed, MicroBytes(mode)) == pytest.approx(report.size_bytes, rel=0.01)
        assert tfmp.cost(fixed, MicroArenaBytes(mode)) == pytest.approx(report.file.arena_bytes, rel=0.05)
        sizes[mode] = report.size_bytes
    assert sizes["small"] <= sizes["fast"]
    if bits < 7:
        assert sizes["small"] < sizes["fast"]
    folded = tfmp.fold(fixed, target="micro")
    file = tfmp.inspect(path)
    np.testing.assert_array_equal(
        MicroInterpreter(path).run(file.inputs["image"].stored(IMAGES))["classes"],
        file.outputs["classes"].stored(np.asarray(folded(IMAGES))),
    )


@pytest.mark.slow
def test_the_other_keras(tmp_path):
    fixed = fixed_at(relaxed(tf_keras), 3)
    report = tfmp.export_tflite(fixed, tmp_path / "model.tflite", target="micro", verify=IMAGES, tolerance=None)
    assert {operator.largest_difference for operator in report.operators} == {0}


def test_a_file_is_read_in_its_own_runtime(search_model, tmp_path):
    fixed, path = fixed_at(search_model, 2), tmp_path / "model.tflite"
    report = tfmp.export_tflite(fixed, path, target="micro")  # verified on random inputs
    file = tfmp.inspect(path)
    assert file.target == "micro" and file.mode == "small" and file.inputs["image"].dtype == "int8"
    assert file.arena_bytes == report.file.arena_bytes == MicroInterpreter(path).arena_bytes
    assert "arena" in str(file)
    compared = tfmp.compare_tflite(fixed, path, IMAGES)
    assert {operator.largest_difference for operator in compared.operators} == {0}
    # Between two codes the caller's rounding decides, not that of an operator, which the file does not have.
    ties = np.float32((np.arange(IMAGES.size).reshape(IMAGES.shape) % 99 - 49.5) * file.inputs["image"].scale)
    compared = tfmp.compare_tflite(fixed, path, ties)
    assert {operator.largest_difference for operator in compared.operators} == {0}
    classes = np.argmax(np.asarray(tfmp.fold(fixed, target="micro")(IMAGES)), -1)
    assert tfmp.evaluate_tflite(path, (IMAGES, classes)) == 1.0


def test_budgets_are_met_or_refused_with_the_smallest_value(search_model, tmp_path):
    smallest = fixed_at(search_model, 1)
    flash, arena = tfmp.cost(smallest, "micro_bytes"), tfmp.cost(fixed_at(search_model, 8), "micro_arena_bytes")
    budgets = [tfmp.Budget("micro_bytes", limit=1.2 * flash), tfmp.Budget("micro_arena_bytes", limit=2 * arena)]
    assignment = tfmp.discretize(search_model, strategy="budget", budget=budgets)
    report = tfmp.export_tflite(tfmp.fix(search_model, assignment), tmp_path / "model.tflite", target="micro")
    assert report.size_bytes <= 1.01 * 1.2 * flash
    assert report.file.arena_bytes <= 1.05 * 2 * arena
    for cost, least in (("micro_bytes", flash), ("micro_arena_bytes", arena)):
        with pytest.raises(ValueError, match=f"`{cost}` cannot be met: the cheapest assignment costs"):
            tfmp.discretize(search_model, strategy="budget", budget=tfmp.Budget(cost, limit=least / 2))


def test_what_the_runtime_lacks_is_named_before_training(tmp_path):
    image = keras.Input((4,))
    x = keras.layers.Activation("gelu", name="bend")(keras.layers.Dense(8, name="hidden")(image))
    model = keras.Model(image, keras.layers.Dense(2)(x))
    settings = {"first_and_last": "search", "calibration": np.random.default_rng(0).normal(size=(4, 4))}
    search_model = tfmp.relax(model, weight_bits=(4,), activation_bits=(8,), **settings)
    for cost in ("micro_bytes", "micro_arena_bytes"):
        with pytest.raises(ValueError, match="bend.*Microcontrollers.*has no GELU"):
            tfmp.Budget(cost, limit=1e6).limit_for(search_model_graph(search_model))
    path = tmp_path / "model.tflite"
    fixed = fixed_at(search_model, 4)
    with pytest.raises(ValueError, match="bend.*Microcontrollers.*has no GELU"):
        tfmp.export_tflite(fixed, path, target="micro")
    with pytest.raises(ValueError, match="mode.*float"):
        tfmp.export_tflite(fixed, path, target="micro", mode="float")
    with pytest.raises(ValueError, match="target.*litert.*micro"):
        tfmp.export_tflite(fixed, path, target="phone")
    assert not path.exists()


MOVES = {
    "transposes": lambda x: keras.ops.transpose(keras.ops.reshape(x, (-1, 2, 1, 2, 1, 2)), (0, 5, 4, 3, 2, 1)),
    "slices": lambda x: keras.ops.reshape(x, (-1, 2, 1, 2, 1, 2))[..., 1:],
    "joins": lambda x: keras.ops.concatenate([x] * 11),
}


@pytest.mark.parametrize(("name", "reason"), [("transposes", "6 axes"), ("slices", "6 axes"), ("joins", "11 tensors")])
def test_what_the_runtime_cannot_move_is_named_before_training(name, reason):
    image = keras.Input((4,))
    x = keras.layers.Flatten()(MOVES[name](keras.layers.Dense(8)(image)))
    search_model = tfmp.relax(keras.Model(image, keras.layers.Dense(2)(x)), first_and_last="search")
    with pytest.raises(ValueError, match=f"Microcontrollers.*{reason}.*at most"):
        tfmp.cost(search_model, "micro_bytes")


def search_model_graph(search_model):
    from tfmp.bindings.framework import framework_of

    return framework_of(search_model).read(search_model, weights=False)
