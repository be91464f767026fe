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
        "first": ("8 bits", "first layer: it reads an input of the model"),
        "first_relu": ("follows", ""),
        "inside": ("searched", ""),
        "inside_norm": ("follows", ""),
        "inside_relu": ("follows", ""),
        "before_addition": ("searched", ""),
        "addition": ("follows", ""),
        "out_relu": ("follows", ""),
        "pool": ("follows", ""),
        "after_addition": ("searched", ""),
        "average": ("follows", ""),
        "head": ("8 bits", "last layer: it leads to an output of the model"),
    }


def test_choices_show_in_the_reasons():
    found = rows(tfmp.inspect(residual(), layers=["inside", "*_addition"], skip="after*", first_and_last="search"))
    assert found["first"] == ("8 bits", "not among the chosen layers")
    assert found["after_addition"] == ("8 bits", "skipped by request")
    assert found["inside"][0] == found["before_addition"][0] == "searched"
    with pytest.raises(ValueError, match="`skip` names 'wrong'"):
        tfmp.inspect(residual(), skip="wrong")
    with pytest.raises(ValueError, match="`quantizer` must be one of 'lsq', 'hwgq'"):
        tfmp.inspect(residual(), quantizer="wrong")


@pytest.mark.parametrize("make", [plain, residual, several])
def test_inspect_foretells_what_relax_does(make):
    model = make()
    for options in ({}, {"first_and_last": "search"}, {"quantizer": "hwgq"}):
        relaxed, report = tfmp.relax(model, **options), tfmp.inspect(model, **options)
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
    assert rows(report)["head_quantizer"] == ("8 bits", "it stores its input")
    fixed = tfmp.fix(relaxed, {"inside": (2, 3), "before_addition": (4, 8), "after_addition": (2, 8)})
    report = tfmp.inspect(fixed)
    assert (report["inside"].status, report["inside"].weight_bits, report["inside"].activation_bits) == (
        *("fixed", (2,), (3,)),
    )
    assert report.num_parameters == residual().count_params()
    assert "W2 A3" in str(report) and "W4 A8" in str(report) and "W8 A8" in str(report)


def test_what_stays_in_floating_point_says_why():
    inputs = keras.Input((None, None, 3))
    x = kl.Conv2D(4, 3, name="free")(inputs)
    x = kl.MaxPooling2D(data_format="channels_first", name="turned")(kl.LayerNormalization(name="strange")(x))
    x = kl.GlobalAveragePooling2D(name="average")(x)
    x = kl.Dense(4, name="hidden")(x)
    x = keras.Sequential([kl.Dense(4)], name="nested")(x)
    report = rows(tfmp.inspect(keras.Model(inputs, kl.Dense(2, name="head")(x))))
    assert report["free"] == ("float", "its output size is not fixed; give the model a fixed input shape")
    assert report["turned"] == ("float", "its channels come first, which the runtime has no kernels for")
    assert report["strange"] == ("float", "it is a `LayerNormalization`, which has no integer form")


def test_unreadable_models():
    with pytest.raises(ValueError, match="not built"):
        tfmp.inspect(keras.Sequential([kl.Dense(2)]))
    with pytest.raises(TypeError, match="must be a Keras model"):
        tfmp.inspect(3)


def test_first_and_last_layers_are_called_so_where_they_are():
    inputs = keras.Input((8, 4), name="sequence")
    moved = kl.Rescaling(0.5)(kl.ZeroPadding1D(name="padded")(inputs))
    x = kl.Conv1D(4, 3, name="direct")(moved)
    y = kl.Dense(4, name="recurred")(kl.LSTM(4, name="lstm", return_sequences=True)(inputs))
    z = kl.Dense(4, name="averaged")(kl.AveragePooling1D(2, name="average")(inputs))
    x, y, z = (kl.Dense(4, name=f"inside_{number}")(branch) for number, branch in enumerate((x, y, z)))
    both = kl.Concatenate(axis=1)([inputs, kl.Lambda(lambda v: v, name="lambda")(inputs)])
    w = kl.Dense(4, name="either")(both)
    ends = [
        kl.Softmax()(kl.Dense(3, name="to_softmax")(x)),
        kl.GRU(3, name="gru")(kl.Dense(4, name="to_gru")(y)),
        kl.Flatten()(kl.Dense(3, name="to_flatten")(z)),
        w,
    ]
    found = rows(tfmp.inspect(keras.Model(inputs, ends)))
    first, last = "first layer: it reads an input of the model", "last layer: it leads to an output of the model"
    assert {name: found[name] for name in found if found[name][0] == "8 bits"} == {
        "direct": ("8 bits", first),
        "recurred": ("8 bits", "the first layer with a kernel after `lstm`"),
        "averaged": ("8 bits", "the first layer with a kernel after `average`"),
        "either": ("8 bits", first),
        "to_softmax": ("8 bits", last),
        "to_gru": ("8 bits", "the last layer with a kernel before `gru`"),
        "to_flatten": ("8 bits", last),
    }
    assert all(found[f"inside_{number}"] == ("searched", "") for number in range(3))
