from recipes import front_picture


def test_the_picture_compares_two_runs_of_the_same_layers():
    uniform, mixed = front_picture.series().values()
    assert list(uniform) == list(mixed) and set(uniform.values()) == {3}
    assert mixed["block1_depthwise"] == 8 and mixed["block12_pointwise"] == 2
    assert all(label.endswith("%") for label in front_picture.series())
