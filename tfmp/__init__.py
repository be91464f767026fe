"""Mixed-precision quantization for Keras: search the bits of every layer, train, and export the same integers.

Names are loaded at their first use: `import tfmp` itself loads no framework.
"""

import importlib
import sys
from typing import Any

from tfmp.version import VERSION

_PUBLIC = {
    "BitSummaries": "tfmp.bindings.keras3.callback",
    "Budget": "tfmp.search.budget",
    "DiscreteEvaluation": "tfmp.bindings.keras3.callback",
    "MixedPrecisionSearch": "tfmp.bindings.keras3.callback",
    "Sensitivity": "tfmp.assign.sensitivity",
    "SelectionData": "tfmp.search.selection_data",
    "SelectionOptimizer": "tfmp.bindings.keras3.optimizer",
    "Tolerance": "tfmp.reports",
    "Reconstruction": "tfmp.transform.reconstruction.reconstruction",
    "BitAssignment": "tfmp.graph",
    "compare_tflite": "tfmp.tflite.compare_tflite",
    "compress": "tfmp.compression.compress",
    "cost": "tfmp.transform.model_cost",
    "discretize": "tfmp.assign.discretize",
    "distill": "tfmp.transform.distill",
    "evaluate_tflite": "tfmp.tflite.evaluate_tflite",
    "export_tflite": "tfmp.tflite.export_tflite",
    "fix": "tfmp.transform.fix",
    "fold": "tfmp.transform.fold",
    "initialize_search": "tfmp.assign.initialize_search",
    "inspect": "tfmp.inspection.inspect",
    "layer_table": "tfmp.inspection.layer_costs",
    "load_model": "tfmp.bindings.saving.load_model",
    "measure_runtime": "tfmp.tflite.measure_runtime",
    "measure_sensitivity": "tfmp.assign.measure_sensitivity",
    "quantize": "tfmp.transform.quantize",
    "register_layer": "tfmp.bindings.custom_layers",
    "relax": "tfmp.transform.relax",
    "searched_layers": "tfmp.transform.searched_layers",
    "simulate": "tfmp.inspection.simulate_model",
}
_MODULES = (
    "assign",
    "costs",
    "graph",
    "joint",
    "keras2",
    "layers",
    "networks",
    "operators",
    "plots",
    "quantizers",
    "reports",
    "search",
    "simulator",
    "tfmot",
    "tuner",
    "width",
)
_MOVED = {  # since version 0.1.0
    "JointSearch": "joint.JointSearch",
    "MagnitudeVariance": "width.MagnitudeVariance",
    "assign_by_sensitivity": "assign.by_sensitivity",
    "assign_by_validation": "assign.by_validation",
    "build_network": "joint.build_network",
    "dual_precision": "width.dual_precision",
    "random_assignment": "assign.at_random",
    "scale_width": "width.scale_width",
    "types": "graph`, `tfmp.reports` and `tfmp.joint",
    "width_for_size": "width.width_for_size",
}

__all__ = [*_PUBLIC, *_MODULES]
__version__ = VERSION


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        value = getattr(importlib.import_module(_PUBLIC[name]), name)
        globals()[name] = value
        return value
    if name in _MODULES:
        return importlib.import_module(f"tfmp.{name}")
    moved = f": it is now `tfmp.{_MOVED[name]}`" if name in _MOVED else ""
    raise AttributeError(f"module 'tfmp' has no attribute {name!r}{moved}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])


_LAYERS = {"keras": "tfmp.layers", "tf_keras": "tfmp.keras2", "tensorflow_model_optimization": "tfmp.tfmot"}
for _framework, _layers in _LAYERS.items():
    # With another Keras backend there are no models of tfmp; `tfmp.layers` raises the error when it is imported.
    if _framework in sys.modules and (_framework != "keras" or sys.modules["keras"].config.backend() == "tensorflow"):
        # Models saved with layers of tfmp then load without `custom_objects`.
        importlib.import_module(_layers)
