"""Calibration: ranges and statistics from data."""
