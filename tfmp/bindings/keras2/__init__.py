"""Binding to tf_keras (Keras 2)."""
