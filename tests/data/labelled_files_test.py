import numpy as np
import pytest
import tensorflow as tf

from tfmp.data.labelled_files import load_feature_table, load_image_folder


def write_image(path, value, size=4):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(tf.io.encode_png(np.full((size, size, 3), value, np.uint8)).numpy())


def test_images_by_class(tmp_path):
    for name, value in (("b/1.png", 10), ("a/2.png", 20), ("a/1.PNG", 30)):
        write_image(tmp_path / name, value)
    (tmp_path / "notes.txt").write_text("not an image")
    data = load_image_folder(tmp_path, (2, 2, 3))
    assert data["x_train"].shape == (3, 2, 2, 3) and data["x_train"].dtype == np.float32
    assert data["x_train"][:, 0, 0, 0].tolist() == [30, 20, 10]
    assert data["y_train"].tolist() == [0, 0, 1]


def test_images_in_parts_share_their_classes(tmp_path):
    for part in ("train", "test"):
        for number, name in enumerate("ab"):
            write_image(tmp_path / part / name / "0.png", 10 * number)
    (tmp_path / "test" / "a" / "0.png").unlink()
    data = load_image_folder(tmp_path, (4, 4, 1))
    assert data["y_train"].tolist() == [0, 1] and data["y_test"].tolist() == [1]
    assert data["x_test"].shape == (1, 4, 4, 1)


def test_a_wrong_folder_of_images_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="no folder"):
        load_image_folder(tmp_path / "missing", (2, 2, 3))
    with pytest.raises(ValueError, match="needs a model whose input is"):
        load_image_folder(tmp_path, (5,))
    (tmp_path / "a").mkdir()
    with pytest.raises(ValueError, match="a subfolder for each class"):
        load_image_folder(tmp_path, (2, 2, 3))
    (tmp_path / "b").mkdir()
    with pytest.raises(ValueError, match="Expected images"):
        load_image_folder(tmp_path, (2, 2, 3))
    (tmp_path / "b" / "bad.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"bad.png' is no image"):
        load_image_folder(tmp_path, (2, 2, 3))


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("a,label,b\n1,0,2\n3,1,4\n", [0, 1]),
        ("\ufeffa,b,kind\n1,2,dog\n\n3,4,cat\n", [1, 0]),
    ],
)
def test_a_table_of_features(tmp_path, text, labels):
    (tmp_path / "table.csv").write_text(text, encoding="utf-8")
    data = load_feature_table(tmp_path / "table.csv")
    assert data["x_train"].tolist() == [[1, 2], [3, 4]] and data["x_train"].dtype == np.float32
    assert data["y_train"].tolist() == labels


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "0 columns and 0 samples"),
        ("a,label\n", "2 columns and 0 samples"),
        ("a,label\n1,0\n2\n", "line 3: expected 2 values. Received: 1"),
        ("a,label\nx,0\n", "line 2: features must be numbers"),
    ],
)
def test_a_wrong_table_is_refused(tmp_path, text, message):
    (tmp_path / "table.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        load_feature_table(tmp_path / "table.csv")
    with pytest.raises(FileNotFoundError, match="no file"):
        load_feature_table(tmp_path / "missing.csv")
