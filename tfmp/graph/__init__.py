"""The vocabulary of the library: models, layers, bits and integer networks as plain data, NumPy only."""

from tfmp.graph.bit_assignment import BitAssignment
from tfmp.graph.candidates import FLOAT, UNQUANTIZED, Candidates, CodeFormat
from tfmp.graph.graph import Call, Graph, Layer, Tensor
from tfmp.graph.integer_graph import Grid, IntegerGraph, IntegerOperation, IntegerTensor
from tfmp.graph.layer_origin import LayerOrigin, Submodel
from tfmp.graph.layer_shape import LayerShape
from tfmp.graph.references import TensorRef, map_references

__all__ = [
    "FLOAT",
    "UNQUANTIZED",
    "BitAssignment",
    "Call",
    "Candidates",
    "CodeFormat",
    "Graph",
    "Grid",
    "IntegerGraph",
    "IntegerOperation",
    "IntegerTensor",
    "Layer",
    "LayerOrigin",
    "LayerShape",
    "Submodel",
    "Tensor",
    "TensorRef",
    "map_references",
]
