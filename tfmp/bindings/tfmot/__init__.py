"""Binding to TensorFlow Model Optimization, which works on tf_keras."""
