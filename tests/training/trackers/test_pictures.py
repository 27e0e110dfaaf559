"""Pictures of each kind as bytes."""

import matplotlib.figure
import numpy as np
import pytest
from PIL import Image

from ebmx.training.trackers._pictures import as_bytes

BYTES = np.random.default_rng(0).integers(0, 256, size=(4, 6, 3), dtype=np.uint8)


def test_an_array_of_bytes_stays_as_it_is():
    np.testing.assert_array_equal(as_bytes(BYTES, "wandb"), BYTES)


def test_floats_are_scaled_and_rounded():
    floats = np.array([[0.0, 1.0], [0.5, 0.1]])
    expected = np.array([[0, 255], [128, 26]], np.uint8)[..., None].repeat(3, -1)
    for array in (floats, floats[..., None].astype(np.float32)):
        np.testing.assert_array_equal(as_bytes(array, "wandb"), expected)


def test_a_fourth_channel_is_left_out(tmp_path):
    alpha = np.concatenate([BYTES, BYTES[..., :1]], -1)
    np.testing.assert_array_equal(as_bytes(alpha, "wandb"), BYTES)
    Image.fromarray(alpha).save(tmp_path / "picture.png")
    for path in (tmp_path / "picture.png", str(tmp_path / "picture.png")):
        np.testing.assert_array_equal(as_bytes(path, "wandb"), BYTES)


def test_a_figure_is_drawn(tmp_path):
    figure = matplotlib.figure.Figure(figsize=(1, 2), dpi=50)
    figure.add_axes((0, 0, 1, 1)).set_axis_off()
    figure.axes[0].imshow(np.array([[1.0]]), cmap="gray", vmin=0, vmax=2, aspect="auto")
    figure.savefig(tmp_path / "picture.png")
    drawn = as_bytes(figure, "wandb")
    assert drawn.shape == (100, 50, 3)
    assert drawn[50, 25].tolist() == [128, 128, 128]
    np.testing.assert_array_equal(drawn, as_bytes(tmp_path / "picture.png", "wandb"))


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (np.zeros((2, 2, 2)), r"picture\.shape=\(2, 2, 2\): give \(height, width\) or"),
        (np.zeros(3), r"picture\.shape=\(3,\)"),
        (np.zeros((0, 3)), r"picture\.shape=\(0, 3\)"),
        (np.full((2, 2), 1.5), r"picture=1\.5 to 1\.5: give bytes, or floats in \[0, 1\]"),
        (np.full((2, 2), -0.1), "give bytes"),
        (np.full((2, 2), np.nan), "give bytes"),
    ],
)
def test_what_is_no_picture_is_refused(picture, message):
    with pytest.raises(ValueError, match=message):
        as_bytes(picture, "wandb")
