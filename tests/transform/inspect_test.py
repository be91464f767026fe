import keras
import pytest
from keras import layers as kl

import tfmp
from tests.transform.small_networks import plain, residual, several


def rows(report):
    return {row.name: (row.status, row.reason) for row in report.rows}


def test_every_layer_has_a_status_and_a_reason():
    found = rows(tfmp.inspect(residual()))
    assert found == {
        "first": ("kept", "first layer: it reads an input of the model"),
        "first_relu": ("left alone", "it has no kernel"),
        "inside": ("searched", ""),
        "inside_norm": ("left alone", "it has no kernel"),
        "inside_relu": ("left alone", "it has no kernel"),
        "before_addition": ("searched", ""),
        "addition": ("left alone", "it has no kernel"),
        "out_relu": ("left alone", "it has no kernel"),
        "pool": ("left alone", "it has no kernel"),
        "after_addition": ("searched", ""),
        "average": ("left alone", "it has no kernel"),
        "head": ("kept", "last layer: it leads to an output of the model"),
    }


def test_choices_show_in_the_reasons():
    found = rows(tfmp.inspect(residual(), layers=["inside", "*_addition"], skip="after*", first_and_last="search"))
    assert found["first"] == ("kept", "not among the chosen layers")
    assert found["after_addition"] == ("kept", "skipped by request")
    assert found["inside"][0] == found["before_addition"][0] == "searched"
    with pytest.raises(ValueError, match="`skip` names 'wrong'"):
        tfmp.inspect(residual(), skip="wrong")
    with pytest.raises(ValueError, match="`quantizer` must be one of 'lsq', 'hwgq'"):
        tfmp.inspect(residual(), quantizer="wrong")


@pytest.mark.parametrize("make", [plain, residual, several])
def test_inspect_foretells_what_relax_does(make):
    for options in ({}, {"first_and_last": "search"}, {"quantizer": "hwgq"}):
        relaxed, report = tfmp.relax(make(), **options), tfmp.inspect(make(), **options)
        searched = {row.name for row in report.rows if row.status == "searched"}
        assert searched == {row.name for row in tfmp.inspect(relaxed).rows if row.status == "searching"}


def test_sizes():
    report = tfmp.inspect(residual())
    assert report["inside"].macs == 8 * 8 * 3 * 3 * 4 * 4 and report["inside"].num_parameters == 3 * 3 * 4 * 4
    assert report["after_addition"].macs == 4 * 4 * 3 * 3 * 4 * 5
    assert report["inside_norm"].num_parameters == 4 * 4
    assert report.num_parameters == residual().count_params()


def test_relaxed_and_fixed_models_show_their_bits():
    relaxed = tfmp.relax(residual(), weight_bits=(2, 4), activation_bits=(3, 8))
    report = tfmp.inspect(relaxed)
    assert (report["inside"].status, report["inside"].weight_bits, report["inside"].activation_bits) == (
        *("searching", (2, 4), (3, 8)),
    )
    assert (report["first"].status, report["first"].weight_bits) == ("fixed", (8,))
    assert rows(report)["head_quantizer"] == ("left alone", "it stores its input")
    fixed = tfmp.fix(relaxed, {"inside": (2, 3), "before_addition": (4, 8), "after_addition": (2, 8)})
    report = tfmp.inspect(fixed)
    assert (report["inside"].status, report["inside"].weight_bits, report["inside"].activation_bits) == (
        *("fixed", (2,), (3,)),
    )
    assert report.num_parameters == residual().count_params()
    assert "W2 A3" in str(report) and "W4 A8" in str(report) and "W8 A8" in str(report)


def test_what_is_left_alone_says_why():
    inputs = keras.Input((None, None, 3))
    x = kl.Conv2D(4, 3, name="free")(inputs)
    x = kl.MaxPooling2D(data_format="channels_first", name="turned")(kl.LayerNormalization(name="strange")(x))
    x = kl.GlobalAveragePooling2D(name="average")(x)
    x = kl.Dense(4, name="hidden")(x)
    x = keras.Sequential([kl.Dense(4)], name="nested")(x)
    report = rows(tfmp.inspect(keras.Model(inputs, kl.Dense(2, name="head")(x))))
    assert report["free"] == ("left alone", "its output size is not fixed; give the model a fixed input shape")
    assert report["turned"] == ("left alone", "channels come first, which the runtime has no kernels for")
    assert report["strange"] == ("left alone", "no quantized form of this layer is known")


def test_unreadable_models():
    with pytest.raises(ValueError, match="not built"):
        tfmp.inspect(keras.Sequential([kl.Dense(2)]))
    with pytest.raises(TypeError, match="Expected a Keras model"):
        tfmp.inspect(3)
