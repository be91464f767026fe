"""Experiments, one per file, run as `python -m recipes.<name>`; only their tests import them."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow is imported
