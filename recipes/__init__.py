"""Experiments, one a file, run as `python -m recipes.<name>`; imported by nobody but their tests."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow is imported
