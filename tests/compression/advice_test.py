import itertools
import math
import re
import types

import keras
import pytest

import tfmp
from tfmp.bindings.framework import framework_of
from tfmp.compression.advice import advice, conclusion, rounding_note
from tfmp.compression.wish import Wish
from tfmp.reports import Attempt, WishCheck
from tfmp.search.searched_cost import SearchedCost

DROP = WishCheck("accuracy drop", 0.01, 0.02)


def ladder_of(accuracy, *, epochs=0, float_accuracy=0.9):
    """A ladder whose second attempt is taken, with 400 samples to choose by."""
    attempts = [Attempt("int8", "", "", "skipped"), Attempt("mixed", "", "", "meets everything; taken")]
    samples = types.SimpleNamespace(validation=([], [0] * 400))
    workshop = types.SimpleNamespace(
        float_accuracy=float_accuracy, samples=samples, plan=types.SimpleNamespace(epochs=epochs)
    )
    results = {1: types.SimpleNamespace(accuracy=accuracy)}
    wish = Wish(max_accuracy_drop=0.01)
    return types.SimpleNamespace(attempts=attempts, results=results, workshop=workshop, wish=wish, graph=None)


@pytest.mark.parametrize(
    ("ladder", "words"),
    [
        (ladder_of(0.895), "the file is within the limit. One accuracy has a standard error of 1.5 points"),
        (ladder_of(0.87), "omit --no_training"),
        (ladder_of(0.87, epochs=3), "Longer training than 3 epochs"),
    ],
)
def test_what_helps_against_a_drop_of_accuracy(ladder, words):
    (sentence,) = advice(ladder, [DROP])
    assert words in sentence
    assert advice(ladder, []) == []


def test_the_least_bytes_are_those_within_the_other_limits():
    layers = [keras.layers.Conv2D(8, 3, name=name) for name in ("first", "wide", "narrow", "last")]
    model = keras.Sequential([keras.Input((12, 12, 3)), *layers])
    graph = framework_of(model).read(tfmp.relax(model, weight_bits=(2, 4, 8), activation_bits=(8,)), weights=False)
    flash, ram = (SearchedCost(graph, cost) for cost in ("micro_bytes", "micro_arena_bytes"))
    choices = itertools.product([(bits, 8) for bits in (2, 4, 8)], repeat=len(flash.names))
    assignments = [dict(zip(flash.names, pairs, strict=True)) for pairs in choices]
    costs = [[each.of(bits) + each.outside for each in (flash, ram)] for bits in assignments]
    limit = math.ceil(min(flash_bytes for flash_bytes, _ in costs))
    wish = Wish(flash_bytes=limit, ram_bytes=1, target="micro")
    ladder = types.SimpleNamespace(graph=graph, wish=wish)
    met = WishCheck("flash", limit, limit)
    (sentence,) = advice(ladder, [met, WishCheck("RAM", 1, 10**9)])
    expected = min(ram_bytes for flash_bytes, ram_bytes in costs if flash_bytes <= limit)
    assert expected > min(ram_bytes for _, ram_bytes in costs), "flash and RAM are in conflict"
    assert "within the other limits" in sentence
    assert int(re.search(r"about ([\d,]+) bytes", sentence)[1].replace(",", "")) == round(expected)
    (sentence,) = advice(ladder, [met, WishCheck("RAM", 10**6, 1.02 * 10**6)])
    assert "foreseen within the limit, and is 2.0% above it" in sentence


def test_the_conclusion_names_the_way_and_what_is_missed():
    assert conclusion(ladder_of(0.9), [], has_test=True) == (
        "The way mixed, which quantizes to bits by sensitivities after training, meets every limit."
    )
    assert "misses the limit of accuracy drop" in conclusion(ladder_of(0.9), [DROP], has_test=True)
    assert "no test samples were given" in conclusion(ladder_of(0.9), [], has_test=False)


def test_a_file_that_is_far_from_keras_is_said_to_be():
    def report(decibels, share):
        agreement = types.SimpleNamespace(signal_to_noise_db=decibels, top1_agreement=share)
        return types.SimpleNamespace(trained=agreement)

    assert rounding_note(types.SimpleNamespace(trained=None)) == rounding_note(report(15.0, 0.5)) == ""
    assert "12.6 dB from those that Keras computes, with the same class in 97.8%." in rounding_note(report(12.6, 0.978))
    assert "computes. Go by its accuracy." in rounding_note(report(12.6, None))
