"""Writes, runs, compares and measures TFLite files."""
