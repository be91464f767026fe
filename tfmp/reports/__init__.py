"""Reports that functions return: they print as tables and write JSON."""

from tfmp.reports.bit_sweep import BitSweep, SweepRow
from tfmp.reports.forecast import Forecast, ForecastRow
from tfmp.reports.hardware_comparison import HardwareComparison
from tfmp.reports.layer_report import LayerReport
from tfmp.reports.layer_table import LayerRow, LayerTable
from tfmp.reports.model_agreement import ModelAgreement, OutputAgreement, Tolerance
from tfmp.reports.model_report import ExportOutlook, ModelReport, ModelRow
from tfmp.reports.network_report import NetworkReport
from tfmp.reports.overlay import Overlay, overlays, write_overlays
from tfmp.reports.pareto_front import ParetoFront
from tfmp.reports.post_training_report import PostTrainingReport, ReconstructedBlock
from tfmp.reports.run_parts import Attempt, NetworkLayer, Parity, WishCheck
from tfmp.reports.run_report import RunReport
from tfmp.reports.tflite_file import FileLayer, FileOperator, FileTensor, StoredTensor, TFLiteFile
from tfmp.reports.tflite_report import OperatorAgreement, TFLiteReport

__all__ = [
    "Attempt",
    "BitSweep",
    "ExportOutlook",
    "FileLayer",
    "FileOperator",
    "FileTensor",
    "Forecast",
    "ForecastRow",
    "HardwareComparison",
    "LayerReport",
    "LayerRow",
    "LayerTable",
    "ModelAgreement",
    "ModelReport",
    "ModelRow",
    "NetworkLayer",
    "NetworkReport",
    "OperatorAgreement",
    "OutputAgreement",
    "Overlay",
    "ParetoFront",
    "Parity",
    "PostTrainingReport",
    "ReconstructedBlock",
    "RunReport",
    "StoredTensor",
    "SweepRow",
    "TFLiteFile",
    "TFLiteReport",
    "Tolerance",
    "WishCheck",
    "overlays",
    "write_overlays",
]
