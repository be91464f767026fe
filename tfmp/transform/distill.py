"""`tfmp.distill`: trains a network by distillation."""

from tfmp.annotations import KerasModel
from tfmp.bindings.framework import framework_name, framework_of
from tfmp.checks import check_number
from tfmp.mixins.distillation import SoftTargets
from tfmp.transform.output_kind import holds_probabilities


def distill(student: KerasModel, teacher: KerasModel, *, temperature: float = 4.0, weight: float = 1.0) -> KerasModel:
    """Returns a model that trains a student on its own loss and on the outputs of a teacher.

    loss = loss of `compile` + weight * temperature**2 * KL(softmax(t / temperature) || softmax(s / temperature))

    with the logits t of the teacher and s of the student; the divergence is the mean over samples and positions, summed
    over several outputs. Compile and fit the model like the student, also with `tfmp.MixedPrecisionSearch`. Its layers
    are those of the student, so training it trains the student: give the student to `tfmp.discretize`, `tfmp.fix` and
    `tfmp.export_tflite`. Predictions, metrics and the loss of `evaluate` and of validation are those of the student,
    and `save` (also from `ModelCheckpoint`) saves the student.

    Args:
        student: A Sequential or functional model: relaxed, fixed or in floating point. A custom class with a
            `train_step` is kept; its `train_step` must use `compute_loss`.
        teacher: A model of the same Keras with outputs of the same shapes, such as the float model; it is called in
            inference mode. Or a function of the inputs that returns such outputs, for an average of several models or a
            subclassed model; it must return probabilities if the student does.
        temperature: Positive number by which the logits of both are divided.
        weight: Weight of the divergence; the loss of the targets has 1.

    Returns:
        A model of the same framework, not compiled, with the student as its `student`.

    Raises:
        ValueError: If the outputs do not match or are not distributions over classes, or a number is not positive.

    Example:
        >>> training = tfmp.distill(search_model, model, weight=0.5)
        >>> training.compile(tfmp.SelectionOptimizer("sgd"), "sparse_categorical_crossentropy")
        >>> training.fit(x_train, y_train, callbacks=[tfmp.MixedPrecisionSearch(budget)])
        >>> fixed = tfmp.fix(search_model, tfmp.discretize(search_model, strategy="budget", budget=budget))

    Reference: Hinton et al., 2015, https://arxiv.org/abs/1503.02531
    """
    temperature, weight = check_number("temperature", temperature, above=0), check_number("weight", weight, above=0)
    framework = framework_of(student, "student")
    graph = framework.read(student, weights=False)
    shapes = [graph.tensors[name].shape for name in graph.output_names]
    if any(len(shape) < 2 or shape[-1] is None or shape[-1] < 2 for shape in shapes):
        raise ValueError(
            "The student's outputs must be probabilities or logits of two or more classes, on the last axis. Received "
            f"outputs of the shapes {shapes}. For other outputs, use those of the teacher as targets."
        )
    student_kinds = [holds_probabilities(graph, name) for name in graph.output_names]
    function, teacher_kinds = _teacher(teacher, graph, shapes, student_kinds)
    soft_targets = SoftTargets(
        student,
        function,
        are_probabilities=(teacher_kinds, student_kinds),
        temperature=temperature,
        weight=weight,
    )
    return framework.distilled(student, soft_targets)


def _teacher(teacher, student, shapes, student_kinds):
    """Returns a function that computes a teacher's outputs, and for each output whether it is a probability."""
    try:
        framework = framework_name(teacher, "teacher")
    except TypeError:
        if not callable(teacher):
            raise
        return teacher, student_kinds
    if framework != student.framework:
        raise ValueError(
            f"Teacher and student must be models of one Keras. Received: a teacher of {framework} and a student of "
            f"{student.framework}. Give a function that calls the teacher."
        )
    graph = framework_of(teacher, "teacher").read(teacher, weights=False)
    teacher_shapes = [graph.tensors[name].shape for name in graph.output_names]
    if [shape[1:] for shape in teacher_shapes] != [shape[1:] for shape in shapes]:
        raise ValueError(
            f"The teacher's outputs must have the shapes of the student's, {shapes}. Received: {teacher_shapes}"
        )
    return lambda inputs: teacher(inputs, training=False), [
        holds_probabilities(graph, name) for name in graph.output_names
    ]
