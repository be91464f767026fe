"""Experiments, one a file, run as `python -m recipes.<name>`; imported by nobody but their tests."""
