"""Settings of a search, and the places that take them."""

import ast
import dataclasses
import inspect
import pathlib

import pytest

import tfmp
import tfmp.tfmot
from tfmp import quantizers
from tfmp.search import SearchSettings

ROOT = pathlib.Path(__file__).resolve().parents[2]
LAYERS = [layers.MixedPrecisionDense for layers in (tfmp.layers, tfmp.keras2)]


def test_settings_are_checked_and_in_one_form():
    settings = SearchSettings(weight_bits=[4, 2], activation_bits=8, quantizer=[quantizers.LSQ, "moving_range"])
    assert (settings.weight_bits, settings.activation_bits) == ((2, 4), (8,))
    assert settings.quantizer == settings.quantizer_pair == ("lsq", "moving_range")
    assert SearchSettings(**settings.config()) == settings and tuple(settings.config()) == SearchSettings.names()
    one = SearchSettings(quantizer="dual_precision", weight_bits=None)
    assert one.quantizer == "dual_precision" and one.quantizer_pair == ("dual_precision", "moving_range")
    assert one.weight_bits is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"weight_bits": (2, 2)}, "`weight_bits` must be different"),
        ({"activation_bits": ()}, "`activation_bits` must be"),
        ({"activation_bits": 9}, "`activation_bits` must be an integer from 1 to 8"),
        ({"quantizer": "pact"}, "`quantizer` must be one of 'lsq'"),
        ({"quantizer": ("lsq", "dual_precision")}, "`dual_precision` is for kernels"),
        ({"quantizer": quantizers.HWGQ, "signed_input": True}, "`hwgq` cannot represent"),
        ({"relaxation": "hard"}, "`relaxation` must be one of"),
        ({"shared_range": 1}, "`shared_range` must be"),
        ({"signed_input": "no"}, "`signed_input` must be"),
        ({"coupled": True}, "pairs candidate i"),
        ({"seed": -1}, "`seed` must be"),
    ],
)
def test_what_is_wrong_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        SearchSettings(**arguments)


@pytest.mark.parametrize("layer_class", LAYERS)
def test_layers_show_take_and_save_every_setting(layer_class):
    parameters = inspect.signature(layer_class.__init__).parameters
    defaults = {field.name: field.default for field in dataclasses.fields(SearchSettings)}
    assert {name: parameters[name].default for name in defaults} == defaults
    given = {"weight_bits": (2, 4), "activation_bits": (4, 8), "quantizer": ("lsq", "moving_range"), "coupled": True}
    given |= {"signed_input": True, "relaxation": "gumbel", "shared_range": False, "shared_weights": False, "seed": 3}
    assert given.keys() == defaults.keys(), "a new setting has a value other than its default here"
    layer = layer_class(3, **given)
    again = layer_class.from_config(layer.get_config())
    assert {name: getattr(again, name) for name in given} == given


def test_relax_takes_every_setting():
    parameters = inspect.signature(tfmp.relax).parameters
    for field in dataclasses.fields(SearchSettings):
        if field.name != "signed_input":  # which it reads from the model
            assert parameters[field.name].default == field.default


def test_a_configuration_of_tfmot_takes_and_saves_every_setting_but_one():
    given = {"weight_bits": (2, 4), "activation_bits": (4,), "quantizer": "lsq", "signed_input": True}
    given |= {"relaxation": "annealed", "shared_range": False, "shared_weights": False, "seed": 3}
    config = tfmp.tfmot.MixedPrecisionQuantizeConfig(**given)
    assert config.get_config() == given | {"quantizer": "lsq(granularity='channel')"}
    assert type(config).from_config(config.get_config()).settings == config.settings
    assert {"coupled", *given} == set(SearchSettings.names())
    with pytest.raises(TypeError, match="`coupled` needs a convolution for each pair"):
        tfmp.tfmot.MixedPrecisionQuantizeConfig(coupled=True)
    with pytest.raises(TypeError, match="unexpected keyword argument 'speed'"):
        tfmp.tfmot.MixedPrecisionQuantizeScheme(speed=3)


def test_a_setting_is_passed_on_by_name_in_the_function_that_takes_it_alone():
    """Files that name it as a keyword or parameter: `relax`, and an edit that sets it. The settings hold the rest."""
    naming = []
    for path in sorted((ROOT / "tfmp").rglob("*.py")):
        nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if "shared_weights" in {node.arg for node in nodes if isinstance(node, ast.keyword | ast.arg)}:
            naming.append(path.name)
    assert naming == ["finest_network.py", "relax.py"]
