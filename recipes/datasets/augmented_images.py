"""Small images, shifted and mirrored."""

import keras
import numpy as np


class AugmentedImages(keras.utils.PyDataset):
    """Random crops and flips, decided by (seed, epoch) alone, so that a resumed run sees what an unbroken one sees.

    Args:
        images: `[N, height, width, channels]` array.
        labels: `[N]` array.
        batch_size: Integer; a last, smaller batch is omitted.
        seed: Integer.
        margin: By how many pixels images are shifted at most.
    """

    def __init__(self, images, labels, batch_size, seed, *, margin=4):
        super().__init__()
        self.padded = np.pad(images, ((0, 0), (margin, margin), (margin, margin), (0, 0)))
        self.margin = margin
        self.shape = images.shape[1:]
        self.labels, self.batch_size, self.seed = labels, batch_size, seed
        self.set_epoch(0)

    def set_epoch(self, epoch):
        rng = np.random.default_rng((self.seed, epoch))
        count = len(self.labels)
        self.order = rng.permutation(count)
        self.shifts = rng.integers(0, 2 * self.margin + 1, (count, 2))
        self.flips = rng.random(count) < 0.5
        self.epoch = epoch

    def __len__(self):
        return len(self.labels) // self.batch_size

    def __getitem__(self, index):
        chosen = self.order[index * self.batch_size : (index + 1) * self.batch_size]
        height, width, _ = self.shape
        images = np.empty((len(chosen), *self.shape), np.float32)
        for row, image in enumerate(chosen):
            top, left = self.shifts[image]
            crop = self.padded[image, top : top + height, left : left + width]
            images[row] = crop[:, ::-1] if self.flips[image] else crop
        return images, self.labels[chosen]


class EpochSeed(keras.callbacks.Callback):
    """Tells the data which epoch it is, counted from `first`."""

    def __init__(self, dataset, first=0):
        super().__init__()
        self.dataset, self.first = dataset, first

    def on_epoch_begin(self, epoch, logs=None):
        self.dataset.set_epoch(self.first + epoch)
