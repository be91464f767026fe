"""The door to Keras 3."""
