"""Images in folders, one for each class, as ImageNet is kept."""

import pathlib

import numpy as np
import tensorflow as tf

_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's channels, in [0, 1]
_SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".png"}
_KEPT = 224 / 256  # share of the shorter side that evaluation sees
_SMALLEST_AREA, _ASPECT_RATIOS = 0.08, (3 / 4, 4 / 3)  # of random crops


class ImageFolder:
    """The images of a folder with one folder for each class.

    Args:
        folder: Its path; the classes are numbered in the order of their names.

    Attributes:
        paths, labels: Of all images, class by class.
        num_classes: Number of classes.

    Raises:
        ValueError: If the folder has no images in folders of classes.

    Example:
        >>> training = ImageFolder("imagenet/train").training(224, 256, seed=0)  # doctest: +SKIP
    """

    def __init__(self, folder):
        folder = pathlib.Path(folder).expanduser()
        classes = sorted(path for path in folder.glob("*") if path.is_dir())
        found = [
            (str(path), label)
            for label, name in enumerate(classes)
            for path in sorted(name.rglob("*"))
            if path.suffix.lower() in _SUFFIXES
        ]
        if not found:
            raise ValueError(f"Expected images in folders of classes, as {folder}/CLASS/IMAGE.JPEG. Received none.")
        self.paths = [path for path, _ in found]
        self.labels = np.array([label for _, label in found], np.int64)
        self.num_classes = len(classes)

    def __len__(self):
        return len(self.paths)

    def training(self, image_size, batch_size, *, seed):
        """Batches of random crops, in a new order in each pass; a last, smaller batch is omitted."""
        images = tf.data.Dataset.from_tensor_slices((self.paths, self.labels)).shuffle(len(self), seed=seed)
        numbers = tf.data.Dataset.random(seed=seed, rerandomize_each_iteration=True).batch(2, drop_remainder=True)

        def read(image, number):
            path, label = image
            return _normalized(_random_crop(_decoded(path), image_size, number)), label

        batches = tf.data.Dataset.zip(images, numbers).map(read, tf.data.AUTOTUNE)
        return batches.batch(batch_size, drop_remainder=True).prefetch(tf.data.AUTOTUNE)

    def evaluation(self, image_size, batch_size):
        """Batches of central crops, in order."""

        def read(path, label):
            return _normalized(_central_crop(_decoded(path), image_size)), label

        images = tf.data.Dataset.from_tensor_slices((self.paths, self.labels))
        return images.map(read, tf.data.AUTOTUNE).batch(batch_size).prefetch(tf.data.AUTOTUNE)


def _decoded(path):
    return tf.io.decode_image(tf.io.read_file(path), channels=3, expand_animations=False)


def _normalized(image):
    return (image / 255.0 - tf.constant(_MEAN)) / tf.constant(_DEVIATION)


def _random_crop(image, size, numbers):
    """A rectangle of 8 % to all of the image, scaled to a square, and mirrored or not; `numbers` decide."""
    begin, extent, _ = tf.image.stateless_sample_distorted_bounding_box(
        tf.shape(image),
        tf.zeros((1, 0, 4)),
        numbers,
        area_range=(_SMALLEST_AREA, 1.0),
        aspect_ratio_range=_ASPECT_RATIOS,
        use_image_if_no_bounding_boxes=True,
    )
    image = tf.image.resize(tf.slice(image, begin, extent), (size, size), antialias=True)
    return tf.image.stateless_random_flip_left_right(image, numbers + 1)


def _central_crop(image, size):
    """The central square of an image whose shorter side was scaled so that the square is 224/256 of it."""
    shape = tf.cast(tf.shape(image)[:2], tf.float32)
    scaled = tf.round(shape * (round(size / _KEPT) / tf.reduce_min(shape)))
    image = tf.image.resize(image, tf.cast(scaled, tf.int32), antialias=True)
    return tf.image.resize_with_crop_or_pad(image, size, size)
