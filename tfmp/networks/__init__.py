"""Networks as `build(keras, ...)`, one a file, for any Keras."""
