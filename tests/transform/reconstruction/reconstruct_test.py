import keras
import numpy as np
import pytest
import tf_keras

import tfmp
from tests.transform.small_networks import inputs_for, residual, shared_layer, trained
from tfmp.bindings.framework import framework_of
from tfmp.transform.calibration import learned_rounding
from tfmp.transform.edits.floating_point import in_floating_point
from tfmp.transform.reconstruction import segmented_model
from tfmp.transform.reconstruction.reconstruct import reconstruct, reconstructed_blocks
from tfmp.transform.reconstruction.segmented_model import LiveTensors, SegmentedModel
from tfmp.transform.stored_values import kernel_codes

pytestmark = pytest.mark.filterwarnings("ignore:The calibration data differ")
FEW = {"iterations": 12, "learning_rate": 0.3, "batch_size": 16}


def dense_chain():
    """Two blocks of a dense layer each, between the first and the last."""
    x = inputs = keras.Input((6,))
    for name in ("first", "one", "two"):
        x = keras.layers.Dense(8, activation="relu", name=name)(x)
    return keras.Model(inputs, keras.layers.Dense(3, name="head")(x))


def settled(make=residual):
    """A trained network with statistics that fit its inputs, and these."""
    model = trained(make())
    x = inputs_for(model, 48)
    model.compile(run_eagerly=True)
    return model, x


def quantized(model, x, **options):
    return tfmp.quantize(model, (3, 3), calibration=x, post_training=tfmp.Reconstruction(**FEW, **options))


@pytest.fixture(scope="module")
def learned():
    """A float model, its inputs, the network before and after its reconstruction, and what became of each block."""
    model, x = settled()
    fixed = tfmp.quantize(model, (3, 3), calibration=x, post_training="ranges")
    framework = framework_of(fixed)
    before = framework.write(framework.read(fixed))
    floating = framework.write(in_floating_point(framework.read(fixed)))
    blocks = reconstruct(fixed, floating, [x[:40], x[40:]], tfmp.Reconstruction(**FEW))
    return model, x, before, fixed, blocks


def test_no_block_has_a_larger_error_and_some_a_smaller_one(learned):
    _, _, before, fixed, blocks = learned
    graph = framework_of(before).read(before)
    assert (
        [block.layers for block in blocks]
        == [
            ("inside", "before_addition"),
            ("after_addition",),
        ]
        == [block.layers for block in reconstructed_blocks(graph)]
    )
    assert all(block.learned <= block.nearest for block in blocks)
    assert any(block.learned < block.nearest for block in blocks), blocks
    first = np.asarray(fixed.get_layer("first").kernel)
    np.testing.assert_array_equal(first, before.get_layer("first").kernel)  # of 8 bits, left out


def test_kernels_are_on_levels_beside_their_values(learned, tmp_path):
    _, x, before, fixed, _ = learned
    framework = framework_of(fixed)
    layers = [framework.read(model).layers for model in (before, fixed)]
    changed = 0
    for name in ("inside", "before_addition", "after_addition"):
        was, now = (kernel_codes(each[name])[0] for each in layers)
        codes, scale = kernel_codes(layers[1][name])
        np.testing.assert_array_equal(layers[1][name].weights["kernel"], (codes * scale).astype(np.float32))
        assert np.abs(was - now).max() <= 1
        changed += np.sum(was != now)
    assert changed > 0
    tfmp.export_tflite(fixed, tmp_path / "model.tflite", verify=x[:8])  # raises if the folded model differs


def test_the_error_of_the_last_block_is_that_of_its_tensor(learned):
    """With the quantized network's own input of the block, against the float network, in float64."""
    model, x, _, fixed, blocks = learned
    exact, found = (
        np.asarray(keras.Model(each.input, each.get_layer(name).output)(x), np.float64)
        for each, name in ((model, "after_addition"), (fixed, "after_addition_quantizer"))
    )
    error = np.square(found - exact).sum(axis=-1).mean() / exact.var(axis=(0, 1, 2)).mean()
    assert blocks[-1].learned == pytest.approx(error, rel=1e-3)


@pytest.mark.parametrize("bytes_in_memory", [2**30, 20_000])
def test_live_tensors_are_those_of_the_whole_model(learned, monkeypatch, bytes_in_memory):
    monkeypatch.setattr(segmented_model, "_BYTES_IN_MEMORY", bytes_in_memory)
    _, x, _, fixed, _ = learned
    segmented = SegmentedModel(fixed)
    live = LiveTensors(segmented, [x[:40], x[40:]])
    calls, in_files = segmented.graph.calls, 0
    for position in (3, len(calls) // 2, len(calls) - 1):
        live.advance(position)
        name = calls[position].inputs[0]
        whole = framework_of(fixed).tensor_model(fixed, [name])(x)
        batches = live.compute([name])[name]
        in_files += sum(isinstance(batch, np.memmap) for batch in batches)
        found = np.concatenate(batches)
        np.testing.assert_allclose(found, np.asarray(whole[0] if isinstance(whole, list) else whole), atol=1e-5)
    assert (in_files > 0) == (bytes_in_memory < 2**30)


def test_what_a_killed_run_had_is_used_again(tmp_path, monkeypatch):
    model, x = settled(dense_chain)
    expected = quantized(model, x)
    learn, calls = learned_rounding.reconstruct, []

    class Killed(Exception):
        pass

    def killed(*arguments, on_block, **options):
        def stop(block):
            on_block(block)
            raise Killed

        return learn(*arguments, on_block=stop, **options)

    folder = tmp_path / "backup"
    monkeypatch.setattr(learned_rounding, "reconstruct", killed)
    with pytest.raises(Killed):
        quantized(model, x, backup_dir=folder)
    monkeypatch.setattr(
        learned_rounding, "reconstruct", lambda *a, **k: calls.append(k["num_complete"]) or learn(*a, **k)
    )
    with pytest.raises(ValueError, match=r"belongs to another run.*seed: 0 then, 5 now"):
        quantized(model, x, backup_dir=folder, seed=5)
    with pytest.raises(ValueError, match="belongs to another run.*data"):
        quantized(model, x + 1, backup_dir=folder)
    resumed = quantized(model, x, backup_dir=folder)
    assert calls == [1] and not list(folder.glob("*.npz"))
    for variable, value in zip(resumed.variables, expected.variables, strict=True):
        np.testing.assert_array_equal(variable, value, err_msg=variable.path)


def test_a_damaged_backup_is_refused(tmp_path):
    model, x = settled(dense_chain)
    (tmp_path / "reconstruction.npz").write_bytes(b"half of a file")
    with pytest.raises(ValueError, match="is damaged.*Give another `backup_dir`"):
        quantized(model, x, backup_dir=tmp_path)


@pytest.mark.usefixtures("eagerly")
@pytest.mark.slow
@pytest.mark.parametrize("quantizer", ["hwgq", ("linear", "lsq"), ("lsq", "moving_range")], ids=str)
def test_every_quantizer_is_learned_or_left(quantizer):
    model, x = settled(shared_layer)
    bits = (3, 8) if quantizer == "hwgq" else (3, 3)
    fixed = tfmp.quantize(model, bits, calibration=x, quantizer=quantizer, post_training=tfmp.Reconstruction(**FEW))
    assert np.isfinite(np.asarray(fixed(x))).all()


def test_models_of_tf_keras():
    tf_keras.utils.set_random_seed(0)
    x = np.random.default_rng(0).normal(size=(32, 6, 6, 2)).astype(np.float32)
    layers = tf_keras.layers
    h = inputs = tf_keras.Input((6, 6, 2))
    h = layers.Conv2D(3, 3, activation="relu")(h)
    h = layers.Add()([layers.BatchNormalization(name="norm")(layers.Conv2D(3, 3, padding="same", name="inside")(h)), h])
    model = tf_keras.Model(inputs, layers.Dense(3)(layers.Flatten()(h)))
    fixed = tfmp.quantize(model, (3, 3), calibration=x, post_training="ranges")
    framework = framework_of(fixed)
    before = framework.read(fixed)
    floating = framework.write(in_floating_point(before))
    (block,) = reconstruct(fixed, floating, [x], tfmp.Reconstruction(**FEW))
    assert block.layers == ("inside",) and block.learned < block.nearest
    after = framework.read(fixed)
    codes, scale = kernel_codes(after.layers["inside"])
    np.testing.assert_array_equal(after.layers["inside"].weights["kernel"], (codes * scale).astype(np.float32))
    for name, path in (("inside", "kernel"), ("inside", "bias"), ("norm", "beta"), ("norm", "gamma")):
        assert not np.array_equal(after.layers[name].weights[path], before.layers[name].weights[path]), path
    steps = [graph.layers["inside"].activation.state["step"] for graph in (before, after)]
    assert steps[0] != steps[1]


@pytest.mark.parametrize(
    ("name", "value"), [("iterations", 0), ("batch_size", 0), ("learning_rate", 0), ("seed", -1), ("seed", 1.5)]
)
def test_settings_out_of_range(name, value):
    with pytest.raises(ValueError, match=f"`{name}` must be"):
        tfmp.Reconstruction(**{name: value})


def test_parts_of_a_model_with_masks_keep_them():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6,))
    x = keras.layers.Embedding(5, 4, mask_zero=True, name="table")(inputs)
    x = keras.layers.LSTM(3, name="recurrent")(keras.layers.Activation("relu", name="between")(x))
    model = keras.Model(inputs, keras.layers.Dense(2, name="head")(x))
    data = np.array([[1, 2, 0, 0, 0, 0], [3, 0, 4, 4, 1, 0]])
    live = LiveTensors(SegmentedModel(model), [data])
    calls = SegmentedModel(model).graph.calls
    for position in range(1, len(calls)):
        live.advance(position)
    (found,) = live.compute([calls[-1].outputs[0]])[calls[-1].outputs[0]]
    np.testing.assert_allclose(found, model(data), atol=1e-6)
