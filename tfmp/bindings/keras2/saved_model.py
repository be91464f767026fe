"""Loads models that tf_keras saved, SavedModels without running their functions."""

import dataclasses
import json
import os
from collections.abc import Mapping
from typing import Any

import tf_keras
from google.protobuf.message import DecodeError
from tf_keras.protobuf.saved_metadata_pb2 import SavedMetadata

# tf_keras reads the compiled state of HDF5 files and SavedModels with it; there is no public way.
from tf_keras.src.saving.legacy.saving_utils import compile_args_from_training_config

from tfmp.annotations import KerasModel
from tfmp.bindings.framework import framework_named
from tfmp.bindings.saving.load_model import load_file
from tfmp.bindings.saving.model_file import SAVED_MODEL_METADATA, ModelFile, not_a_model, read_model_file


def load_model(
    path: str | os.PathLike[str],
    *,
    custom_objects: Mapping[str, Any] | None = None,
    compile: bool = True,
    safe_mode: bool = True,
) -> KerasModel:
    """Loads a saved model of tf_keras; arguments and errors as in `tfmp.load_model`.

    In safe mode a SavedModel is built from its configuration and the values of its variables, because parts of its
    TensorFlow graph would run as soon as it is loaded.
    """
    options: dict[str, Any] = {"custom_objects": custom_objects, "compile": compile, "safe_mode": safe_mode}
    return load_file(framework_named("tf_keras"), read_model_file(path), **options)


def with_configuration(file: ModelFile, custom_objects) -> ModelFile:
    """Returns a SavedModel with the configuration that tf_keras saved next to the TensorFlow graph.

    Raises:
        ValueError: If it is damaged, or belongs to a subclassed model.
    """
    try:
        with open(os.path.join(file.path, SAVED_MODEL_METADATA), "rb") as metadata:
            nodes = SavedMetadata.FromString(metadata.read()).nodes
        root = next(json.loads(node.metadata) for node in nodes if node.node_path == "root")
        name, config, is_network = root["class_name"], root.get("config"), root.get("is_graph_network")
    except (DecodeError, ValueError, RecursionError, StopIteration, TypeError, KeyError) as error:
        raise not_a_model(file.path, f"has a damaged {SAVED_MODEL_METADATA}", "Copy or save it again") from error
    is_known = name == "Sequential" or tf_keras.saving.get_registered_object(name, custom_objects) is not None
    if not isinstance(config, dict) or not (is_network or is_known):
        what = "is a SavedModel of a subclassed model, whose structure is hidden in Python code"
        raise not_a_model(file.path, what, "Build it as a functional model and save that")
    config = {"class_name": name if is_known else "Functional", "config": config}
    return dataclasses.replace(file, config=config, training_config=root.get("training_config"))


def rebuild(file: ModelFile, custom_objects, compile):
    """Builds a model from the configuration of `with_configuration` and the values of the variables."""
    model = tf_keras.models.model_from_json(json.dumps(file.config), custom_objects)
    status = model.load_weights(os.path.join(file.path, "variables", "variables"))
    status.assert_existing_objects_matched()
    status.expect_partial()  # the optimizer's state, which tf_keras does not restore either
    if compile and file.training_config:
        arguments = compile_args_from_training_config(file.training_config, custom_objects)
        model.compile(**arguments, from_serialized=True)
    return model
