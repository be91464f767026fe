"""Writes integer operations as operators of a file to a `Sink`, one module for each family."""
