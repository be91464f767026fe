"""Lowers the layers of a network to integer operations."""
