"""Binding to Keras 3 with the TensorFlow backend."""

import os


def check_backend():
    """Raises `ImportError` unless Keras uses the TensorFlow backend, which the layers need."""
    try:
        import keras
    except (ImportError, ValueError) as error:  # a backend that is not installed, or unknown to Keras
        received = f"{os.environ.get('KERAS_BACKEND', 'of keras.json')!r}, which Keras cannot load ({error})"
    else:
        if keras.config.backend() == "tensorflow":
            return
        received = repr(keras.config.backend())
    raise ImportError(
        f"tfmp needs Keras with the backend 'tensorflow'. Received: the backend {received}. Set the environment "
        'variable KERAS_BACKEND=tensorflow before Keras is imported, or "backend": "tensorflow" in ~/.keras/keras.json.'
    )


check_backend()
