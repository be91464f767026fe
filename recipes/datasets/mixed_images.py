"""Mixtures of two images and of their labels."""

import keras
import numpy as np


class MixedImages(keras.utils.PyDataset):
    """Mixup: each image is a share of itself and the rest of another of its batch, and so is its label.

    x' = s x + (1 - s) x_other,  s drawn for each batch from Beta(alpha, alpha), by (seed, epoch, batch) alone

    Args:
        images: `AugmentedImages`.
        num_classes: Labels are made one-hot.
        alpha: 0 to leave the images as they are.

    Reference: Zhang et al., 2018, https://arxiv.org/abs/1710.09412
    """

    def __init__(self, images, num_classes, alpha):
        super().__init__()
        self.images, self.num_classes, self.alpha = images, num_classes, alpha

    def set_epoch(self, epoch):
        self.images.set_epoch(epoch)

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        rng = np.random.default_rng((self.images.seed, self.images.epoch, index))
        images, labels = self.images[index]
        labels = np.eye(self.num_classes, dtype=np.float32)[labels]
        if not self.alpha:
            return images, labels
        share, other = np.float32(rng.beta(self.alpha, self.alpha)), rng.permutation(len(labels))
        return tuple(share * each + (1 - share) * each[other] for each in (images, labels))
