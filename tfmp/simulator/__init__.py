"""What networks of mixed precision cost on an accelerator: cycles, memory accesses and energy. NumPy alone."""

from tfmp.simulator.hardware import Hardware, preset_names
from tfmp.simulator.simulate import cost_table, simulate, simulate_layer

__all__ = ["Hardware", "cost_table", "preset_names", "simulate", "simulate_layer"]
