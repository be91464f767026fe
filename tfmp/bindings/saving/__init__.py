"""Loads, checks and saves models of either Keras."""
