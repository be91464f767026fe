"""Connects the search callback to a Keras model and its variables."""

from typing import Any

from tfmp.annotations import KerasModel
from tfmp.bindings.framework import check_callback, framework_of
from tfmp.bindings.logits_training import hold_logits, selection_step, unscaled
from tfmp.bindings.selection_optimizer import SelectionOptimizerMixin, input_quantizer_path, start_variables
from tfmp.mixins.mixed_precision_search import MixedPrecisionSearchMixin


class SearchHooks(MixedPrecisionSearchMixin):
    """Methods of a search that access the model.

    Subclasses add `resume_at(epoch)`, `backup_variables()` and `build_optimizer()`, which creates its variables.

    Attributes:
        framework: The framework of the model.
    """

    framework_name = ""  # of the class
    input_quantizer_path = staticmethod(input_quantizer_path)

    def set_model(self, model: KerasModel) -> None:
        check_callback(model, self.framework_name)
        super().set_model(model)
        self.framework = framework_of(model)
        if self.prepared_model is not model:
            graph = self.framework.read(model, weights=False)
            self.prepare(graph, {layer.name: self.framework.layer(model, layer.name) for layer in graph.searched})
            self.prepared_model = model
        # Otherwise the first training step creates them, and Keras traces it twice.
        self.build_optimizer()

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        super().on_train_begin(logs)
        if (self.params or {}).get("verbose"):
            print(f"Search of {len(self._search.layers)} layers: tracing and compiling the first step ...", flush=True)

    def hold_logits(self, are_held: bool) -> None:
        """Excludes the logits from the training steps, or includes them again."""
        hold_logits(self.framework, self.model, are_held)

    def selection_step(self) -> Any:
        """Returns the step that only updates the logits."""
        return selection_step(self.framework, self.model)

    def is_scheduled(self, optimizer: Any) -> bool:
        """Returns True if the learning rate of an optimizer's logits follows from the number of steps."""
        optimizer = unscaled(self.framework, optimizer)
        return isinstance(optimizer, SelectionOptimizerMixin) and optimizer.is_scheduled

    def set_selection_rate(self, optimizer: Any, rate: float) -> None:
        """Sets the learning rate of an optimizer's logits."""
        unscaled(self.framework, optimizer).selection_optimizer.learning_rate = rate

    def named_variables(self) -> Any:
        """Returns pairs of the path and the values of every variable of the model."""
        return ((self.framework.path_of(variable), variable.numpy()) for variable in self.model.variables)

    def start_variables(self) -> Any:
        """Returns the variables that identify the start of the search, see `tfmp.bindings.selection_optimizer`."""
        return start_variables(self.model.variables, self.framework.path_of)
