import pytest

from tfmp.bindings.saving.model_trust import check_trusted

REGISTERED = {"package>Mine", "mine"}


def layer(class_name, module=None, name="here", **config):
    found = {"class_name": class_name, "config": {"name": name, **config}}
    return found if module is None else {**found, "module": module, "registered_name": None}


def network(*layers):
    return {"class_name": "Functional", "config": {"name": "net", "layers": list(layers)}}


def function(name, module="builtins", **more):
    return {"class_name": "function", "config": name, "module": module, **more}


def check(config):
    check_trusted("a.keras", network(layer("Dense"), config), lambda name, module: name in REGISTERED)


@pytest.mark.parametrize(
    "config",
    [
        layer("Dense", "keras.layers", activation=function("relu"), bias_initializer=layer("Zeros", None)),
        layer("Functional", "keras.src.models.functional"),
        layer("TFOpLambda", function="math.add"),
        layer("SlicingOpLambda", function="__operators__.getitem"),
        layer("TFOpLambda", function="compat.v1.nn.conv2d"),
        layer("TFOpLambda", function="concat"),
        layer("Lambda", function=function("relu")),
        layer("Lambda", function="mine", function_type="function"),
        layer("package>Mine"),
        {**layer("Mine", "mine.layers"), "registered_name": "package>Mine"},
        layer("Activation", activation=function("mine", "mine.functions")),
        layer("Activation", activation=function("gelu", "keras.activations")),
        layer("Rescaling", scale={"class_name": "__numpy__", "config": {"value": [1.0], "dtype": "float32"}}),
        {"class_name": "__typespec__", "module": "tensorflow.python.framework.tensor", "spec_name": "TensorSpec"},
        layer("StringLookup", vocabulary=["a", "b"]),
    ],
    ids=str,
)
def test_what_keras_and_the_program_provide_is_trusted(config):
    check(config)


CODE = ["4wEAAAAA", None, None]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (layer("Lambda", function=CODE, function_type="lambda"), r"`here` \(Lambda\) holds a Python function as code"),
        (layer("Lambda", function=CODE), "holds a Python function as code"),
        (layer("Lambda", function="relu", output_shape=CODE, output_shape_type="lambda"), "holds a Python function"),
        (layer("Lambda", function="relu", mask=CODE, mask_type="lambda"), "holds a Python function"),
        (layer("RNN", cell=layer("ResidualWrapper", residual_fn=CODE, residual_fn_type="lambda")), "holds a Python"),
        (layer("TimeDistributed", layer=network(layer("Lambda", function=CODE))), "holds a Python function as code"),
        (layer("Activation", activation={"class_name": "__lambda__", "config": {"value": CODE}}), "holds a Python"),
        (layer("Mine", "os"), "is of a class of `os`, which is not registered"),
        (layer("Mine", ""), "is of a class of ``"),
        ({**layer("Mine", "os"), "registered_name": "other"}, "is of a class of `os`"),
        (layer("__numpy__", "os"), "is made by `__numpy__`, which is no class of Keras"),
        (layer("__new__", "os"), "is made by `__new__`"),
        (layer("os.Popen", "keras.src.utils"), r"is made by `os.Popen`"),
        (layer("get_file", "keras.utils"), "is made by `get_file`"),
        (layer(["Dense"], "os"), "is made by"),
        ({**layer("deserialize_keras_object", "os"), "registered_name": "package>Mine"}, "is made by"),
        (layer("Activation", activation=function("system", "os")), "uses the function `system` of `os`"),
        (layer("Activation", activation=function("system", "os", registered_name="package>Mine")), "`system` of `os`"),
        (layer("Lambda", function=function("get_file", "keras.utils")), "`get_file` of `keras.utils`"),
        (layer("Lambda", function=function("os.system", "keras.losses")), "`os.system` of `keras.losses`"),
        (layer("Lambda", function=function("io", "keras.src.losses")), "`io` of `keras.src.losses`"),
        (layer("Lambda", function=function(["system"], "os")), "names the function"),
        (layer("TFOpLambda", function="io.write_file"), "calls the TensorFlow function `io.write_file`"),
        (layer("TFOpLambda", function="compat.v1.py_func"), "`compat.v1.py_func`"),
        (layer("TFOpLambda", function="load_op_library"), "`load_op_library`"),
        (layer("TFOpLambda", function="keras.utils.get_file"), "`keras.utils.get_file`"),
        (layer("SlicingOpLambda", function="io.gfile.remove"), "`io.gfile.remove`"),
        ({**layer("TFOpLambda", "mine", function="io.x"), "registered_name": "package>Mine"}, "`io.x`"),
        (layer("InstanceMethod", attr_name="__reduce__"), "reads the private attribute"),
        (layer("TensorFlowOpLayer", node_def="..."), "runs a program that is not made of Keras layers"),
        (layer("TFSMLayer", filepath="other"), "runs a program"),
        (layer("StringLookup", vocabulary="/etc/passwd"), "reads the file '/etc/passwd'"),
        ({"class_name": "__typespec__", "module": "os", "spec_name": "Spec"}, "names the type `Spec` of `os`"),
        ({"class_name": "__typespec__", "module": "keras", "spec_name": "os.x"}, "names the type `os.x`"),
    ],
    ids=str,
)
def test_what_runs_code_of_the_file_is_refused_with_the_layer(config, message):
    with pytest.raises(ValueError, match=rf"'a.keras' is not loaded: .*{message}.*pass safe_mode=False"):
        check(config)


def test_any_depth_is_looked_at():
    config = layer("Lambda", function=CODE)
    for _ in range(5000):
        config = {"layers": [config]}
    with pytest.raises(ValueError, match="holds a Python function as code"):
        check(config)
