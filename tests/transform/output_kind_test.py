"""The kinds of outputs, in both Kerases."""

import keras
import pytest
import tf_keras

from tfmp.bindings.framework import framework_of
from tfmp.transform.output_kind import decision, decisions, holds_probabilities

CASES = {  # function of the layers and a tensor [batch, 6, 6, 4]
    "softmax": (lambda kl, x: kl.Dense(5, activation="softmax")(kl.Flatten()(x)), "largest"),
    "softmax layer": (lambda kl, x: kl.Softmax()(kl.Dense(5)(kl.Flatten()(x))), "largest"),
    "softmax of one": (lambda kl, x: kl.Dense(1, activation="softmax")(kl.Flatten()(x)), ""),
    "segmentation": (lambda kl, x: kl.Conv2D(3, 1, activation="softmax")(x), "largest"),
    "logits": (lambda kl, x: kl.Dense(5)(kl.Flatten()(x)), "largest"),
    "logits of a mean": (lambda kl, x: kl.GlobalAveragePooling2D()(kl.Conv2D(3, 1)(x)), "largest"),
    "flat logits": (lambda kl, x: kl.Flatten()(kl.Conv2D(3, 6)(x)), "largest"),
    "one number": (lambda kl, x: kl.Dense(1)(kl.Flatten()(x)), ""),
    "image": (lambda kl, x: kl.Conv2D(3, 1)(x), ""),
    "sigmoid": (lambda kl, x: kl.Dense(1, activation="sigmoid")(kl.Flatten()(x)), "side of 0.5"),
    "labels": (lambda kl, x: kl.Activation("sigmoid")(kl.Dense(4)(kl.Flatten()(x))), "side of 0.5"),
    "image of a sigmoid": (lambda kl, x: kl.Conv2D(1, 1, activation="sigmoid")(x), ""),
    "rectified": (lambda kl, x: kl.Dense(4, activation="relu")(kl.Flatten()(x)), ""),
    "gated": (lambda kl, x: kl.Dense(4, activation="swish")(kl.Flatten()(x)), ""),
    "directions": (lambda kl, x: kl.Activation("tanh")(kl.Dense(4)(kl.Flatten()(x))), ""),
    "unknown": (lambda kl, x: kl.UnitNormalization()(kl.Dense(4)(kl.Flatten()(x))), ""),
}


@pytest.mark.parametrize("framework", [keras, tf_keras], ids=["keras", "tf_keras"])
def test_decisions(framework):
    image = framework.Input((6, 6, 4), name="image")
    model = framework.Model(image, [function(framework.layers, image) for function, _ in CASES.values()])
    graph = framework_of(model).read(model, weights=False)
    found = [decision(graph, tensor) for tensor in graph.output_names]
    assert dict(zip(CASES, found, strict=True)) == {name: expected for name, (_, expected) in CASES.items()}
    probabilities = [holds_probabilities(graph, tensor) for tensor in graph.output_names]
    assert [name for name, yes in zip(CASES, probabilities, strict=True) if yes] == [
        "softmax",
        "softmax layer",
        "softmax of one",
        "segmentation",
    ]


@pytest.mark.parametrize("framework", [keras, tf_keras], ids=["keras", "tf_keras"])
def test_the_loss_tells_regressions(framework):
    kl = framework.layers
    image = framework.Input((6,), name="image")
    model = framework.Model(
        image, [kl.Dense(4, name="box")(image), kl.Dense(3, activation="softmax", name="kind")(image)]
    )
    graph = framework_of(model).read(model, weights=False)
    assert decisions(model, graph) == {"box": "largest", "kind": "largest"}
    for loss in ("mse", framework.losses.Huber(), framework.losses.mean_absolute_error):
        model.compile("sgd", loss=[loss, loss])
        assert decisions(model, graph) == {"box": "", "kind": "largest"}
    model.compile("sgd", loss=["mse", "sparse_categorical_crossentropy"])
    assert decisions(model, graph) == {"box": "largest", "kind": "largest"}
