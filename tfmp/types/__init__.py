"""The vocabulary of the library: frozen dataclasses that import nothing but NumPy."""

from tfmp.types.code_format import FLOAT, CodeFormat
from tfmp.types.integer_graph import Grid, IntegerGraph, IntegerOperation, IntegerTensor
from tfmp.types.layer_shape import LayerShape

__all__ = ["FLOAT", "CodeFormat", "Grid", "IntegerGraph", "IntegerOperation", "IntegerTensor", "LayerShape"]
