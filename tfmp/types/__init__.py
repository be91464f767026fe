"""The vocabulary of the library: frozen dataclasses that import nothing but NumPy."""

from tfmp.types.code_format import FLOAT, CodeFormat
from tfmp.types.layer_shape import LayerShape

__all__ = ["FLOAT", "CodeFormat", "LayerShape"]
