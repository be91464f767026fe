"""A Keras with another backend than TensorFlow."""

import os
import subprocess
import sys

import keras
import pytest

from tfmp.bindings import keras3

_PROGRAM = """
import tfmp
assert tfmp.costs.get("bitops").name == "bitops"  # needs no Keras
try:
    import tfmp.layers
except ImportError as error:
    print(error)
"""


def test_the_import_of_the_layers_names_a_backend_that_is_not_installed():
    environment = {**os.environ, "KERAS_BACKEND": "absent", "TF_CPP_MIN_LOG_LEVEL": "3"}
    result = subprocess.run([sys.executable, "-c", _PROGRAM], env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "tfmp needs Keras with the backend 'tensorflow'. Received: the backend 'absent'" in result.stdout
    assert "KERAS_BACKEND=tensorflow" in result.stdout


@pytest.mark.parametrize("backend", ["jax", "torch", "numpy", "openvino"])
def test_another_backend_is_named_with_the_way_out(monkeypatch, backend):
    monkeypatch.setattr(keras.config, "backend", lambda: backend)
    with pytest.raises(ImportError, match=f"Received: the backend '{backend}'. Set .* KERAS_BACKEND=tensorflow"):
        keras3.check_backend()
