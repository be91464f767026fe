"""The writer of TFLite files: an `IntegerGraph` in, bytes out, no TensorFlow."""
