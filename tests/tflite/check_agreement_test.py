"""Which files are too far from their models."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

import tfmp
from tests.reports.tflite_report_test import REPORT
from tfmp.bindings import claims, custom_layers
from tfmp.bindings.framework import framework_of
from tfmp.reports import ModelAgreement, OutputAgreement, Tolerance
from tfmp.tflite.check_agreement import check_agreement, first_parting
from tfmp.transform.fold import fold_graph


def check(report, *, parting=lambda: ("clip", 4.2), **tolerance):
    check_agreement(report, Tolerance(**tolerance), parting)


@pytest.mark.parametrize(
    ("tolerance", "message"),
    [
        ({"operator_difference": 0}, "Operator `total` .add. of the file differs.* 99.50% .*largest difference is 1"),
        ({"operator_equal": 0.999}, "Operator `total` .add. of the file differs.* 99.50% of its codes are equal"),
        ({"folded_db": 61}, "`p` of the file .*of the folded model.*100 samples: 60.0 dB.*Expected at least 61 dB"),
        (
            {"trained_db": 40},
            "of the trained model.*: 38.2 dB.*at least 40 dB. .*first at layer `clip`.*4.2",
        ),
        ({"reference_db": 20}, "in floating point.*: 12.0 dB.*Tolerance.reference_db=..., reference_top1=...."),
        ({"reference_top1": 0.95}, "in floating point.*90.00%. Expected the same class in at least 95%. Train longer"),
    ],
)
def test_limits(tolerance, message):
    check(REPORT)
    with pytest.raises(ValueError, match=message):
        check(REPORT, **tolerance)


@pytest.mark.parametrize(
    ("same", "count", "passes"), [(15, 16, True), (14, 16, False), (98, 100, True), (97, 100, False)]
)
def test_one_tie_among_a_few_samples_is_no_failure(same, count, passes):
    output = OutputAgreement("p", 30.0, 0.1, 0.9, same / count, "largest of 3", count)
    report = dataclasses.replace(REPORT, trained=ModelAgreement((output,), count))
    if passes:
        check(report)
    else:
        with pytest.raises(ValueError, match="the same class in at least 98%.*Tolerance.trained_db"):
            check(report)
        check(report, trained_top1=None)


def test_roundings_that_add_up_are_told_from_a_layer_that_differs():
    with pytest.raises(ValueError, match="is near: the furthest, layer `clip`, is at 50.3 dB. .*Train longer"):
        check(REPORT, trained_db=40, parting=lambda: ("clip", 50.3))


def test_a_file_in_floating_point_has_no_layer_at_which_it_parts():
    report = dataclasses.replace(REPORT, operators=(), folded=None)
    with pytest.raises(ValueError, match="TensorFlow's converter wrote other arithmetic"):
        check(report, trained_db=40, parting=lambda: None)


X = np.random.default_rng(0).uniform(-1, 1, (300, 8, 8, 3)).astype(np.float32)


def clip_class(framework):
    @framework.saving.register_keras_serializable("first_parting_test")
    class Clip(framework.layers.Layer):
        def call(self, v):
            return tf.clip_by_value(v, 0.0, 0.1)

    return Clip


def network(framework, layer):
    kl = framework.layers
    x = image = framework.Input((8, 8, 3), name="image")
    x = kl.Conv2D(8, 3, activation="relu", name="first")(x)
    x = kl.Conv2D(8, 3, name="second")(x)
    x = kl.BatchNormalization(name="norm")(x)
    x = layer(x)
    x = kl.Conv2D(8, 1, activation="relu", name="third")(x)
    x = kl.Flatten(name="flat")(x)
    return framework.Model(image, kl.Dense(10, name="last")(x), name="clipping")


@pytest.fixture(scope="module", params=[keras, tf_keras], ids=["keras", "tf_keras"])
def slipped(request):
    """The float model, the trained one, and the right claim; the wrong one is registered, and nothing checks it."""
    framework = request.param
    framework.utils.set_random_seed(0)
    clip = clip_class(framework)
    model = network(framework, clip(name="clip"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(custom_layers, "_registered", {})
        patch.setattr(claims, "check_claim", lambda *_, **__: None)
        tfmp.register_layer(clip, "relu", lambda config: {"max_value": None})
        fixed = tfmp.relax(model, weight_bits=8, activation_bits=8, calibration=X)
        yield model, fixed, lambda: tfmp.register_layer(clip, "relu", {"max_value": 0.1})


@pytest.mark.default_cases("tf_keras")
def test_a_wrong_registration_fails_the_comparison_with_the_trained_model(slipped, tmp_path):
    model, fixed, mend = slipped
    path = tmp_path / "model.tflite"
    message = (
        "Output `last` of the file is too far from that of the trained model, as Keras computes it, on 300 samples: .* "
        "Expected at least .*The two part first at layer `clip`: .*`tfmp.register_layer` says.*Tolerance.trained_db"
    )
    for mode in ("fast", "small"):
        with pytest.raises(ValueError, match=message):
            tfmp.export_tflite(fixed, path, mode=mode, verify=X)
    assert not list(tmp_path.iterdir())
    report = tfmp.export_tflite(fixed, path, verify=X, reference=model, tolerance=None)
    assert all(operator.equal_share == 1 for operator in report.operators)
    assert report.folded.equal_share == report.folded.top1_agreement == 1
    assert report.trained.signal_to_noise_db < 15 and report.reference.signal_to_noise_db < 15
    with pytest.raises(ValueError, match=message):
        tfmp.compare_tflite(fixed, path, X, tolerance=tfmp.Tolerance())
    mend()
    data = tf.data.Dataset.from_tensor_slices(X).batch(128)
    report = tfmp.export_tflite(fixed, path, verify=data, reference=model, overwrite=True)
    assert report.trained.num_samples == 300 and report.trained.top1_agreement > 0.98
    assert report.trained.signal_to_noise_db > 30 and report.reference.signal_to_noise_db > 15
    found = tfmp.tflite.interpreter.Interpreter(path).run(X)["last"]
    for agreement, keras_model in ((report.trained, fixed), (report.reference, model)):
        expected = np.asarray(keras_model(X, training=False), np.float64)
        noise = np.square(expected - found)
        assert agreement.signal_to_noise_db == pytest.approx(10 * np.log10(np.sum(expected**2) / noise.sum()), rel=1e-3)
        assert agreement.largest_difference == pytest.approx(np.sqrt(noise.max()) / expected.std(), rel=1e-3)
        assert agreement.top1_agreement == pytest.approx(np.mean(expected.argmax(-1) == found.argmax(-1)), abs=1 / 300)


def test_the_layer_that_differs_most_is_named_where_all_are_near(monkeypatch):
    monkeypatch.setattr(custom_layers, "_registered", {})
    keras.utils.set_random_seed(0)
    fixed = tfmp.relax(
        network(keras, keras.layers.ReLU(0.1, name="clip")), weight_bits=8, activation_bits=8, calibration=X
    )
    graph = framework_of(fixed).read(fixed)
    integers = fold_graph(graph)
    folded = framework_of(fixed).write_integer(integers)
    _, near = first_parting(fixed, graph, integers, folded, {"image": X})
    assert near > 40
    variable = folded.get_layer("third").bias_constant
    scale = np.abs(keras.ops.convert_to_numpy(variable)).max() + 1000
    variable.assign(keras.ops.convert_to_numpy(variable) + scale)
    layer, decibels = first_parting(fixed, graph, integers, folded, {"image": X})
    assert layer == "third" and decibels < near
