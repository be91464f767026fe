"""Bindings to Keras 3, tf_keras and TFMOT: the only modules that import them."""
