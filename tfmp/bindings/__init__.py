"""The only doors to Keras 3, tf_keras and TFMOT."""
