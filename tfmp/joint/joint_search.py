"""The joint search in Keras 3."""

import keras

from tfmp.bindings.selection_optimizer import optimizer_of
from tfmp.checks import check_instance
from tfmp.joint.joint_search_loop import JointSearchMixin
from tfmp.joint.supernet import supernet


class JointSearch(JointSearchMixin):  # noqa: D101 (the mixin says it)
    __doc__ = JointSearchMixin.__doc__

    def make_supernet(self, space):
        return supernet(space)

    def make_variable(self, shape):
        return keras.Variable(keras.ops.zeros(shape), name="controller_logits")

    def make_optimizers(self, given):
        # Little momentum for the controller: it would carry the cost far below the target, where nothing stops it.
        if given is None:
            return keras.optimizers.SGD(0.05, momentum=0.9), keras.optimizers.Adam(0.02, beta_1=0.5)
        check_instance("optimizers", given, (list, tuple), "a pair, of the weights and of the controller")
        if len(given) != 2:
            raise ValueError(f"`optimizers` must be two, of the weights and of the controller. Received: {len(given)}")
        return tuple(optimizer_of(keras.optimizers, "optimizers", each) for each in given)
