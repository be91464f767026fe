import numpy as np
import pytest
import tensorflow as tf

from recipes.datasets.image_folder import ImageFolder

MEAN, DEVIATION = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


def write(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(tf.io.encode_png(np.asarray(pixels, np.uint8)).numpy())


@pytest.fixture
def folder(tmp_path):
    for label, name in enumerate(("ant", "bee", "cat")):
        for index in range(4):
            write(tmp_path / name / f"{index}.png", np.full((40 + index, 60, 3), 20 * (4 * label + index)))
    (tmp_path / "bee" / "notes.txt").write_text("no image")
    return tmp_path


def values(batch):
    """The gray of images of one color each."""
    images = np.asarray(batch) * DEVIATION + MEAN
    assert np.ptp(images, axis=(1, 2, 3)).max() < 1e-5
    return np.rint(255 * images[:, 0, 0, 0]).astype(int)


def test_classes_are_numbered_by_name(folder):
    images = ImageFolder(folder)
    assert (len(images), images.num_classes, images.labels.tolist()) == (12, 3, [0] * 4 + [1] * 4 + [2] * 4)
    seen = [(values(x), y.numpy()) for x, y in images.evaluation(16, 5)]
    assert np.concatenate([gray for gray, _ in seen]).tolist() == [20 * index for index in range(12)]
    assert np.concatenate([labels for _, labels in seen]).tolist() == images.labels.tolist()


def test_training_sees_every_image_once_in_an_order_of_its_own_each_pass(folder):
    training = ImageFolder(folder).training(16, 4, seed=0)
    passes = [[(values(x), y.numpy()) for x, y in training] for _ in range(2)]
    grays = [np.concatenate([gray for gray, _ in one]) for one in passes]
    for gray, one in zip(grays, passes, strict=True):
        assert sorted(gray) == [20 * index for index in range(12)]
        assert np.concatenate([labels for _, labels in one]).tolist() == (gray // 80).tolist()
    assert grays[0].tolist() != grays[1].tolist()


def test_evaluation_sees_the_middle(tmp_path):
    # 64 wide and 32 high, scaled by 7/8 of 32 = 28 of 32 rows: the middle 28 columns of 64 are seen.
    columns = np.broadcast_to(np.arange(64)[None, :, None], (32, 64, 3))
    write(tmp_path / "a" / "ramp.png", columns)
    ((x, _),) = ImageFolder(tmp_path).evaluation(28, 1)
    seen = 255 * (np.asarray(x)[0] * DEVIATION + MEAN)
    np.testing.assert_allclose(seen[5, :, 0], np.arange(18, 46), atol=1e-3)


def test_crops_are_parts_of_the_image_some_of_them_mirrored(tmp_path):
    columns = np.broadcast_to(np.arange(200)[None, :, None], (100, 200, 3))
    for index in range(20):
        write(tmp_path / "a" / f"{index}.png", columns)
    ((x, _),) = ImageFolder(tmp_path).training(8, 20, seed=3)
    rows = 255 * (np.asarray(x)[:, 4] * DEVIATION + MEAN)[:, :, 0]
    slopes = np.diff(rows, axis=1).mean(1)
    assert 0 < (slopes < 0).sum() < 20
    widths = 8 * np.abs(slopes)  # columns that 8 pixels cover
    assert widths.min() > 20 and widths.max() < 201 and np.ptp(widths) > 40


def test_a_folder_without_images_is_refused(tmp_path):
    with pytest.raises(ValueError, match="Expected images in folders of classes"):
        ImageFolder(tmp_path)
