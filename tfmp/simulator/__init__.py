"""What networks of mixed precision cost on an accelerator: cycles, memory accesses and energy. NumPy alone."""

from tfmp.simulator.hardware import Hardware, preset_names
from tfmp.simulator.simulate import cost_table, simulate, simulate_layer
from tfmp.simulator.workload import read_workload

__all__ = ["Hardware", "cost_table", "preset_names", "read_workload", "simulate", "simulate_layer"]
