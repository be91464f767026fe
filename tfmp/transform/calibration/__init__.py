"""Ranges and statistics from data, without training."""
