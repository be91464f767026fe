"""Simulated machines: cycles, memory accesses and energy of layers and networks. NumPy only."""

from tfmp.simulator.bit_fusion.bit_fusion import BitFusion
from tfmp.simulator.hardware import Hardware, preset_names, register_preset
from tfmp.simulator.layer_cost import Execution, LayerCost
from tfmp.simulator.row_stationary.row_stationary import RowStationary
from tfmp.simulator.simulate import cost_table, simulate, simulate_layer, sweep
from tfmp.simulator.software_kernels import SoftwareKernels
from tfmp.simulator.workload import read_workload

__all__ = [
    "BitFusion",
    "Execution",
    "Hardware",
    "LayerCost",
    "RowStationary",
    "SoftwareKernels",
    "cost_table",
    "preset_names",
    "read_workload",
    "register_preset",
    "simulate",
    "simulate_layer",
    "sweep",
]
