"""The door to tf_keras, the Keras 2 that goes on beside Keras 3."""
