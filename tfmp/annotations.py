"""Names in annotations for objects that have no type of their own without a framework.

A model may be of either Keras, and `import tfmp` loads neither; a tensor may be symbolic or hold numbers.
"""

from typing import TYPE_CHECKING, Any

KerasModel = Any  # `keras.Model` or `tf_keras.Model`
KerasLayer = Any  # `keras.layers.Layer` or `tf_keras.layers.Layer`
Tensor = Any  # a tensor or variable of TensorFlow, a tensor of either Keras, or an array in the place of one

if TYPE_CHECKING:
    KerasMixin = Any  # the base of a mixin: checked as if it were the class of Keras that it is mixed into
else:
    KerasMixin = object
