"""Students that learn from teachers, in both Kerases alike."""

import keras
import numpy as np
import pytest
import tf_keras

import tfmp
import tfmp.keras2

X = np.random.default_rng(0).normal(size=(32, 6)).astype(np.float32)
Y = np.random.default_rng(1).integers(0, 3, size=32)
KERASES = {"keras": (keras, tfmp), "tf_keras": (tf_keras, tfmp.keras2)}


@pytest.fixture(params=KERASES)
def kit(request):
    return KERASES[request.param]


def float_model(framework, *, activation=None, seed=0, model_class=None):
    """A nested network, of logits or of probabilities."""
    framework.utils.set_random_seed(seed)
    kl = framework.layers
    inner = framework.Input((6,))
    x = kl.Dense(5, activation="relu", name="first")(inner)
    backbone = framework.Model(inner, kl.Dense(4, activation="relu", name="second")(x), name="backbone")
    inputs = framework.Input((6,), name="features")
    x = kl.Dense(5, activation="relu", name="hidden")(backbone(inputs))
    outputs = kl.Dense(3, activation=activation, name="head")(x)
    return (model_class or framework.Model)(inputs, outputs, name="network")


def relaxed(model):
    return tfmp.relax(model, weight_bits=(1, 2, 4), activation_bits=(2, 4), calibration=X)


def crossentropy(framework, from_logits=True):
    return framework.losses.SparseCategoricalCrossentropy(from_logits=from_logits)


def log_softmax(values):
    values = np.asarray(values, np.float64)
    return values - np.log(np.exp(values).sum(axis=-1, keepdims=True))


@pytest.mark.default_cases("keras-*", "tf_keras-(True, False)")
@pytest.mark.parametrize("probabilities", [(False, False), (True, False), (False, True)], ids=str)
def test_the_loss_is_that_of_the_paper(kit, probabilities):
    """NumPy in float64: cross-entropy + weight * T**2 * KL, over weighted samples."""
    framework, _ = kit
    activations = ["softmax" if each else None for each in probabilities]
    teacher = float_model(framework, activation=activations[0], seed=1)
    student = float_model(framework, activation=activations[1])
    training = tfmp.distill(student, teacher, temperature=3.0, weight=0.7)
    training.compile(framework.optimizers.SGD(0.0), crossentropy(framework, not probabilities[1]), run_eagerly=True)
    weights = np.linspace(0.5, 2, 32).astype(np.float32)
    history = training.fit(X, Y, sample_weight=weights, batch_size=32, validation_data=(X, Y), verbose=0).history

    logits = [np.asarray(model(X), np.float64) for model in (teacher, student)]
    logits = [np.log(v) if is_probability else v for v, is_probability in zip(logits, probabilities, strict=True)]
    soft = [log_softmax(values / 3.0) for values in logits]
    divergence = (np.exp(soft[0]) * (soft[0] - soft[1])).sum(axis=-1)
    hard = -log_softmax(logits[1])[np.arange(32), Y]
    assert divergence.mean() > 1e-3
    np.testing.assert_allclose(history["loss"], np.mean(weights * (hard + 0.7 * 9 * divergence)), rtol=1e-5)
    np.testing.assert_allclose(history["val_loss"], hard.mean(), rtol=1e-5, err_msg="the student's alone")


@pytest.mark.usefixtures("eagerly")
@pytest.mark.default_cases("keras")
def test_search_discretize_fix_and_export_go_by_the_student(kit, tmp_path):
    framework, ours = kit
    teacher = float_model(framework)
    student = relaxed(teacher)
    training = tfmp.distill(student, teacher, weight=2.0)
    assert training.student is student
    for one, other in (
        (training.weights, student.weights),
        (training.trainable_variables, student.trainable_variables),
    ):
        assert [id(v) for v in one] == [id(v) for v in other], "the student's variables and no others"
    optimizer = ours.SelectionOptimizer(framework.optimizers.Adam(0.01), framework.optimizers.Adam(0.05))
    training.compile(optimizer, crossentropy(framework), metrics=["accuracy"])
    budget = tfmp.Budget("bitops", like_uniform=(2, 2))
    search = ours.MixedPrecisionSearch(budget, selection_data=(X[:8], Y[:8]))
    before = [np.asarray(v) for v in student.trainable_variables], [np.asarray(v) for v in teacher.weights]
    checkpoint = framework.callbacks.ModelCheckpoint(str(tmp_path / "best.keras"), monitor="val_accuracy")
    history = training.fit(
        X, Y, epochs=2, batch_size=16, validation_data=(X, Y), callbacks=[search, checkpoint], verbose=0
    ).history
    assert {"val_accuracy", "expected_cost"} <= history.keys()
    pairs = zip(student.trainable_variables, before[0], strict=True)
    assert sum(not np.array_equal(v, value) for v, value in pairs) > len(before[0]) - 3
    for variable, value in zip(teacher.weights, before[1], strict=True):
        np.testing.assert_array_equal(variable, value)
    outputs = student.predict(X, verbose=0)
    np.testing.assert_array_equal(training.predict(X, verbose=0), outputs)
    hard = -log_softmax(outputs)[np.arange(32), Y].mean()
    np.testing.assert_allclose(history["val_loss"][-1], hard, rtol=1e-5)

    again = ours.load_model(tmp_path / "best.keras")
    assert type(again) is type(student)
    np.testing.assert_allclose(again.predict(X, verbose=0), outputs, rtol=1e-6)
    assignment = tfmp.discretize(student, strategy="budget", budget=budget)
    assert set(assignment) == {"backbone/second", "hidden"} and tfmp.discretize(training).bits
    for model in (student, training):
        fixed = tfmp.fix(model, assignment)
        assert type(fixed) is type(student)
    tfmp.export_tflite(fixed, tmp_path / "model.tflite", verify=X)

    finetuning = tfmp.distill(fixed, teacher)
    finetuning.compile("sgd", crossentropy(framework), run_eagerly=True)
    kernel = np.asarray(fixed.get_layer("hidden").kernel)
    finetuning.fit(X, Y, verbose=0)
    assert not np.array_equal(fixed.get_layer("hidden").kernel, kernel)


@pytest.mark.default_cases("tf_keras")
def test_a_student_comes_close_to_its_teacher(kit):
    framework, _ = kit
    teacher, student = (float_model(framework, seed=seed) for seed in (3, 4))
    training = tfmp.distill(student, teacher, temperature=2.0, weight=10.0)
    wrong = 1 - np.asarray(teacher(X)).argmax(axis=-1) % 2  # targets that say little of the teacher
    training.compile(framework.optimizers.Adam(0.02), crossentropy(framework), loss_weights=[1e-3])

    def distance():
        target, found = (log_softmax(model(X)) for model in (teacher, student))
        return (np.exp(target) * (target - found)).sum(axis=-1).mean()

    start = distance()
    training.fit(X, wrong, epochs=60, verbose=0)
    assert distance() < 0.2 * start


def test_a_class_with_a_training_step_of_its_own_is_kept(kit):
    framework, _ = kit

    class Counting(framework.Model):
        steps = 0

        def train_step(self, data):
            type(self).steps += 1
            return super().train_step(data)

    teacher = float_model(framework, seed=1)
    student = float_model(framework, model_class=Counting)
    training = tfmp.distill(student, lambda inputs: teacher(inputs, training=False))
    assert isinstance(training, Counting)
    training.compile(framework.optimizers.SGD(0.0), crossentropy(framework), run_eagerly=True)
    loss = training.fit(X, Y, batch_size=32, verbose=0).history["loss"][0]
    assert type(training).steps == 1 and loss > training.evaluate(X, Y, verbose=0) + 1e-3


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"temperature": 0.0}, ValueError, "`temperature` must be a finite number above 0"),
        ({"weight": -1.0}, ValueError, "`weight` must be a finite number above 0"),
        ({"teacher": "classes"}, ValueError, r"shapes of the student's.*Received: \[\(None, 4\)\]"),
        ({"teacher": "framework"}, ValueError, "models of one Keras"),
        ({"teacher": None}, TypeError, "must be a Keras model"),
        ({"student": "regression"}, ValueError, "two or more classes"),
    ],
    ids=str,
)
def test_errors(options, error, message):
    models = {
        "classes": lambda: keras.Sequential([keras.Input((6,)), keras.layers.Dense(4)]),
        "regression": lambda: keras.Sequential([keras.Input((6,)), keras.layers.Dense(1)]),
        "framework": lambda: float_model(tf_keras),
        "student": lambda: float_model(keras),
        None: lambda: None,
    }
    student, teacher = (models[options.get(name, "student")]() for name in ("student", "teacher"))
    with pytest.raises(error, match=message):
        tfmp.distill(student, teacher, **{name: options[name] for name in options if name in ("temperature", "weight")})
