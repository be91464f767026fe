"""Model files that run code when they are loaded unchecked: it creates a marker file."""

import json
import shutil
import sys
import zipfile

import h5py
import tensorflow as tf

NESTINGS = ("functional", "sequential", "nested", "wrapped", "wrapped twice")


def lambda_model(framework, nesting, marker):
    """A model with a Lambda layer whose function makes the marker, somewhere in it."""
    layers = framework.layers
    code = f"lambda x: (open({str(marker)!r}, 'w').close(), x)[1]"
    layer = layers.Lambda(eval(code), output_shape=(4,), name="evil")  # of no source file
    if nesting == "sequential":
        return framework.Sequential([layers.Input((4,)), layer, layers.Dense(2)])
    inputs = layers.Input((4,))
    if nesting == "functional":
        outputs = layer(inputs)
    elif nesting == "nested":
        inner = layers.Input((4,))
        outputs = framework.Model(inner, layer(inner), name="inner")(inputs)
    else:
        if nesting == "wrapped twice":
            layer = framework.Sequential([layers.Input((4,)), layer])
        outputs = layers.Flatten()(layers.TimeDistributed(layer)(layers.Reshape((1, 4))(inputs)))
    return framework.Model(inputs, layers.Dense(2)(outputs))


def save(model, folder, container):
    """Saves a model and returns the path; `"hdf5 named .keras"` is what its name does not say."""
    folder.mkdir()
    if container == "saved_model":
        model.save(folder / "model", save_format="tf")
        return folder / "model"
    if container == "folder":
        model.save(folder / "model.keras")
        with zipfile.ZipFile(folder / "model.keras") as archive:
            archive.extractall(folder / "unpacked")
        return folder / "unpacked"
    path = folder / ("model.keras" if container == "zip" else "model.h5")
    model.save(path)
    return path.rename(folder / "hidden.keras") if container == "hdf5 named .keras" else path


def edit_config(path, edit):
    """Changes the configuration in a `.keras` or `.h5` file by a function of the parsed JSON."""
    if h5py.is_hdf5(path):
        with h5py.File(path, "r+") as file:
            config = json.loads(file.attrs["model_config"])
            edit(config)
            file.attrs["model_config"] = json.dumps(config)
        return path
    edited = path.with_suffix(".edited")
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(edited, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name == "config.json":
                config = json.loads(content)
                edit(config)
                content = json.dumps(config)
            target.writestr(name, content)
    shutil.move(edited, path)
    return path


def of_module(module, layer=None):
    """An edit that says that the class of a layer, or of the model itself, is in another module."""

    def edit(config):
        parts = [config] if layer is None else config["config"]["layers"]
        for part in parts:
            if layer in (None, part["class_name"]):
                part |= {"module": module, "class_name": "Evil", "registered_name": "Evil"}

    return edit


def calling(function, *constants):
    """An edit that lets a TensorFlow function of a tf_keras model be another one, with constants."""

    def edit(config):
        for layer in config["config"]["layers"]:
            if layer["class_name"] == "TFOpLambda":
                layer["config"]["function"] = function
                layer["inbound_nodes"] = [["_CONSTANT_VALUE", -1, value, {}] for value in constants]

    return edit


def tensorflow_function_model(framework):
    """A model that calls a function of TensorFlow."""
    inputs = framework.layers.Input((4,))
    outputs = framework.layers.Dense(2)(tf.reshape(inputs, (-1, 4)))
    return framework.Model(inputs, outputs)


def forget_module(name):
    """Removes a module, so that it can be imported again."""
    sys.modules.pop(name, None)
