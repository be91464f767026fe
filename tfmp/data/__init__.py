"""Reads data in all supported forms: arrays, `tf.data`, Keras data sets, batch functions."""
