"""The arguments of plain layers in the docstrings of the searchable ones, of both Kerases."""

import inspect
import re

import keras
import pytest
import tf_keras

import tfmp
import tfmp.keras2
from tfmp.mixins.plain_arguments import document_plain_arguments

LAYERS = ("Conv2D", "Conv1D", "DepthwiseConv2D", "DepthwiseConv1D", "Conv1DTranspose", "Conv2DTranspose", "Dense")


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize(("ours", "plain"), [(tfmp.layers, keras), (tfmp.keras2, tf_keras)], ids=("keras", "tf_keras"))
def test_every_argument_is_described_once(ours, plain, name):
    layer, base = getattr(ours, f"MixedPrecision{name}"), getattr(plain.layers, name)
    described = re.findall(r"^    (\w+): ", layer.__doc__.partition("Args:\n")[2].partition("\n\n")[0], re.MULTILINE)
    # Keras itself leaves a few out.
    parameters = {each for each in inspect.signature(base.__init__).parameters if f"{each}:" in base.__doc__}
    assert len(parameters) > 8
    assert parameters <= set(described)
    assert len(described) == len(set(described))
    assert "**" not in layer.__doc__


def test_defaults_are_those_of_the_signature_and_lines_are_short():
    text = tfmp.layers.MixedPrecisionConv2D.__doc__
    assert re.search(r"    strides: [^:]*Default: `\(1, 1\)`\.", text)
    assert max(map(len, text.splitlines())) <= 120


def test_own_entries_stay():
    class Named(keras.layers.Dense):
        """A layer.

        Args:
            units: Not what Keras says.
            **plain: The arguments of `keras.layers.Dense`.
        """

    Named.__module__ = "tfmp.somewhere"
    document_plain_arguments(Named)
    assert Named.__doc__.count("    units: ") == 1
    assert "    units: Not what Keras says." in Named.__doc__
    assert "    use_bias: Boolean" in Named.__doc__


def test_docstrings_without_the_mark_stay():
    class Plain(keras.layers.Dense):
        """Stays."""

    document_plain_arguments(Plain)
    assert Plain.__doc__ == "Stays."
