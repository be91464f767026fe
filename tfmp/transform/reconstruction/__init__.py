"""Learns the rounding of kernels after training, block by block."""
