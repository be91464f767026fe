"""Registries of names, classes and instances."""

import pytest

from tfmp.registry import Registry


class Shape:
    name = "shape"


class Circle(Shape):
    name = "circle"


def registry():
    made = Registry("shape", Shape, "a `Shape`", hint="Draw one")
    made.register(Shape)
    return made


def test_entries_are_found_by_name_and_by_themselves():
    shapes, instance = registry(), Circle()
    assert shapes.register(Circle) is Circle and shapes.names() == ("shape", "circle")
    assert shapes.get("circle") is shapes.get(Circle) is Circle and shapes.get(instance) is instance
    assert shapes.name_of("circle") == shapes.name_of(Circle) == "circle"


def test_what_is_given_for_a_name_gets_one():
    shapes = registry()
    assert shapes.name_of(Circle) == "circle" and shapes.get("circle") is Circle
    square = Circle()
    square.name = "square"
    assert shapes.name_of(square) == "square" and shapes.get("square") is square
    shapes.register(square, "quadrangle")
    assert shapes.get("quadrangle") is square


def test_functions_have_their_own_names():
    functions = Registry("function", type(registry), "a function")
    assert functions.name_of(registry) == "registry" and functions.get("registry") is registry


def test_a_name_has_one_entry_but_a_definition_can_run_again():
    shapes = registry()
    shapes.register(Shape)
    other = type("Other", (Shape,), {"__qualname__": "Other"})
    with pytest.raises(ValueError, match="There is a shape 'shape' already"):
        shapes.register(other)
    again = type("Shape", (Shape,), {"__module__": Shape.__module__, "name": "shape"})
    assert shapes.register(again) is shapes.get("shape") is again


@pytest.mark.parametrize("key", ["oval", None, 3, [], int])
def test_what_is_no_entry_is_an_error_that_lists_the_names(key):
    with pytest.raises(ValueError, match="`shape` must be 'shape'. Received: .*. Draw one"):
        registry().get(key)
    with pytest.raises(TypeError, match="`shape` must be a `Shape`. Received"):
        registry().register(key)


def test_an_entry_needs_a_name():
    nameless = type("Nameless", (Shape,), {"name": ""})
    nameless.__name__ = "Nameless"
    assert registry().register(nameless) is nameless
    with pytest.raises(ValueError, match="`name` must be"):
        registry().register(Shape, "")
