"""The vocabulary of the library: frozen dataclasses that import nothing but NumPy."""

from tfmp.types.bit_assignment import BitAssignment
from tfmp.types.block_choice import BlockCandidates, BlockChoice
from tfmp.types.code_format import FLOAT, CodeFormat
from tfmp.types.discrete_network import DiscreteNetwork
from tfmp.types.graph import UNQUANTIZED, Call, Graph, Layer, Selection, Tensor, TensorRef, map_references
from tfmp.types.integer_graph import Grid, IntegerGraph, IntegerOperation, IntegerTensor
from tfmp.types.layer_report import LayerReport
from tfmp.types.layer_shape import LayerShape
from tfmp.types.layer_table import LayerRow, LayerTable
from tfmp.types.model_agreement import ModelAgreement, OutputAgreement
from tfmp.types.model_report import ExportOutlook, ModelReport, ModelRow
from tfmp.types.network_report import NetworkReport
from tfmp.types.pareto_front import ParetoFront
from tfmp.types.post_training_report import PostTrainingReport
from tfmp.types.search_space import SearchSpace, Stage
from tfmp.types.submodel import Submodel
from tfmp.types.tflite_file import FileLayer, FileTensor, StoredTensor, TFLiteFile
from tfmp.types.tflite_report import OperatorAgreement, TFLiteReport
from tfmp.types.tolerance import Tolerance
from tfmp.types.width import Width

__all__ = [
    "FLOAT",
    "UNQUANTIZED",
    "BitAssignment",
    "BlockCandidates",
    "BlockChoice",
    "Call",
    "CodeFormat",
    "DiscreteNetwork",
    "ExportOutlook",
    "FileLayer",
    "FileTensor",
    "Graph",
    "Grid",
    "IntegerGraph",
    "IntegerOperation",
    "IntegerTensor",
    "Layer",
    "LayerReport",
    "LayerRow",
    "LayerShape",
    "LayerTable",
    "ModelAgreement",
    "ModelReport",
    "ModelRow",
    "NetworkReport",
    "OperatorAgreement",
    "OutputAgreement",
    "ParetoFront",
    "PostTrainingReport",
    "SearchSpace",
    "Selection",
    "Stage",
    "Submodel",
    "StoredTensor",
    "TFLiteFile",
    "TFLiteReport",
    "Tensor",
    "TensorRef",
    "Tolerance",
    "Width",
    "map_references",
]
