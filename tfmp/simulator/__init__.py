"""Simulator of the Bit Fusion accelerator: cycles, memory accesses and energy. NumPy only."""

from tfmp.simulator.hardware import Hardware, preset_names, register_preset
from tfmp.simulator.simulate import cost_table, simulate, simulate_layer
from tfmp.simulator.workload import read_workload

__all__ = ["Hardware", "cost_table", "preset_names", "read_workload", "register_preset", "simulate", "simulate_layer"]
