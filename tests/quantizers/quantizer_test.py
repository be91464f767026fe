"""Names of quantizers with arguments."""

import dataclasses
from typing import ClassVar

import numpy as np
import pytest

from tfmp import quantizers
from tfmp.quantizers.quantizer import options_of, read_name, written_name


@pytest.mark.parametrize("name", ["lsq", "moving_range", "moving_range(momentum=0.5)"])
def test_a_text_names_what_an_instance_is(name):
    quantizer = quantizers.get(name, bits=4, signed=False)
    assert quantizer.full_name == quantizers.name_of(name) == quantizers.name_of(quantizer) == name
    assert quantizers.get(quantizer, bits=4, signed=False) == quantizer
    assert quantizers.family(name) is quantizers.family(quantizer) is type(quantizer)


def test_an_instance_keeps_its_arguments_at_other_bits():
    found = quantizers.get(quantizers.MovingRange(8, momentum=0.5), bits=3, signed=False)
    assert found == quantizers.MovingRange(3, False, momentum=0.5) and options_of(found) == {"momentum": 0.5}
    assert quantizers.get(quantizers.LSQ, bits=2) == quantizers.LSQ(2)


@pytest.mark.parametrize("options", [{"a": 1, "b": "x, y=(2)"}, {"ends": (0.1, -2.5)}])
def test_texts_are_read_as_they_were_written(options):
    assert read_name(written_name("toy", options)) == ("toy", options)


@pytest.mark.parametrize("text", ["", "toy", "toy(", "toy(1)", "a.b(c=1)", "toy(a=b)", "toy()", "1 + 2", "\0"])
def test_other_texts_are_names(text):
    assert read_name(text) == (text, {})
    with pytest.raises(ValueError, match="`quantizer` must be one of 'lsq', 'hwgq'.*Received"):
        quantizers.get(text, bits=2)


@pytest.mark.parametrize("name", [*quantizers.names(), "lsq(granularity='tensor')", "moving_range(momentum=0.5)"])
def test_saved_names_are_read_as_they_were_meant(name):
    saved = quantizers.saved_name(name)
    assert quantizers.read_saved_name(saved) == quantizers.name_of(name)
    assert quantizers.saved_name(saved) == saved, "reading it as a name changes nothing"


def test_a_saved_name_of_version_0_1_0_means_what_it_did_then():
    assert quantizers.read_saved_name("lsq") == "lsq(granularity='tensor')"
    for name in ("hwgq", "dual_precision", "linear", "moving_range", "moving_range(momentum=0.5)"):
        assert quantizers.read_saved_name(name) == name


def test_an_argument_that_no_text_holds_is_an_error():
    @dataclasses.dataclass(frozen=True)
    class WithArray(quantizers.Linear):
        levels: object = None
        name: ClassVar[str] = "with_array"

    with pytest.raises(ValueError, match="`levels` of quantizer `with_array` must be a number, a text or a tuple"):
        WithArray(4, levels=np.float64).full_name  # noqa: B018 (raises)
