"""Folders of images that the tests write."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from ebmx.data import load

RNG = np.random.default_rng(0)
COLOURS = RNG.integers(0, 256, (6, 5, 4, 3), np.uint8)
GREYS = RNG.integers(0, 256, (6, 5, 4), np.uint8)


def write(folder, images, ending="png", start=0, **options):
    folder.mkdir(parents=True, exist_ok=True)
    for i, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{start + i:02}.{ending}", **options)


def pixels(data):
    """All images in data units, in the order of their first pixels; and their labels."""
    x = np.rint(data.to_units(np.concatenate([data.train, data.test]))).astype(int)
    order = np.lexsort(x.reshape(len(x), -1).T[::-1])
    if data.train_labels is None:
        return x[order], None
    return x[order], np.concatenate([data.train_labels, data.test_labels])[order]


def in_order(images):
    images = images[..., None] if images.ndim == 3 else images
    return images[np.lexsort(images.reshape(len(images), -1).T[::-1])]


@pytest.mark.parametrize("ending", ["png", "bmp", "webp", "PNG"])
@pytest.mark.parametrize("images", [COLOURS, GREYS], ids=["colours", "greys"])
def test_images_of_a_folder(images, ending, tmp_path):
    if ending == "webp":
        images = images if images.ndim == 4 else images[..., None].repeat(3, -1)
    options = {"lossless": True} if ending == "webp" else {}
    write(tmp_path, images, ending, **options)
    (tmp_path / "notes.txt").write_text("not an image")
    (tmp_path / "._00.png").write_bytes(b"of another system")
    data = load(tmp_path)
    np.testing.assert_array_equal(pixels(data)[0], in_order(images))
    assert (data.low, data.high, data.train_labels) == (0.0, 255.0, None)
    assert f"images of 5×4×{in_order(images).shape[-1]}, in [0, 255], no labels" in data.summary


@pytest.mark.parametrize("ending", ["jpg", "jpeg"])
def test_jpegs(ending, tmp_path):
    flat = np.full((4, 16, 16, 3), 90, np.uint8)
    write(tmp_path, [*flat, np.full_like(flat[0], 255)], ending)
    x, _ = pixels(load(tmp_path))
    assert x.shape == (5, 16, 16, 3)
    assert np.abs(x[:4] - 90).max() <= 2


def test_gifs_and_palettes(tmp_path):
    images = [Image.fromarray(image).quantize(20) for image in COLOURS]
    for i, image in enumerate(images):
        image.save(tmp_path / f"{i}.gif")
    seen = np.stack([np.asarray(image.convert("RGB")) for image in images])
    np.testing.assert_array_equal(pixels(load(tmp_path))[0], in_order(seen))


def test_other_modes_are_what_is_seen(tmp_path):
    bits = GREYS > 100
    write(tmp_path / "bits", bits)
    np.testing.assert_array_equal(pixels(load(tmp_path / "bits"))[0], in_order(255 * bits))
    deep = GREYS.astype(np.uint16) * 200
    write(tmp_path / "deep", deep)
    np.testing.assert_array_equal(pixels(load(tmp_path / "deep"))[0], in_order(deep))
    clear = np.concatenate([COLOURS, GREYS[..., None]], -1)
    write(tmp_path / "clear", clear)
    np.testing.assert_array_equal(pixels(load(tmp_path / "clear"))[0], in_order(clear))


def test_a_photograph_stands_upright(tmp_path):
    turned = Image.Exif()
    turned[0x0112] = 6  # a quarter turn to the right brings it upright
    write(tmp_path, COLOURS, exif=turned)
    np.testing.assert_array_equal(
        pixels(load(tmp_path))[0], in_order(np.rot90(COLOURS, -1, axes=(1, 2)))
    )


def test_subfolders_are_classes_in_the_order_of_their_names(tmp_path):
    for name, part in (("wolves", slice(4, 6)), ("cats", slice(0, 3)), ("Dogs", slice(3, 4))):
        write(tmp_path / name, COLOURS[part])
    (tmp_path / ".cache").mkdir()
    Image.fromarray(COLOURS[0]).save(tmp_path / ".cache/thumb.png")
    data = load(tmp_path)
    assert data.classes == ("Dogs", "cats", "wolves")
    assert data.summary.endswith("labels 0 to 2 (Dogs, cats, wolves)")
    x, labels = pixels(data)
    for image, label in zip(COLOURS, (1, 1, 1, 0, 2, 2), strict=True):
        assert labels[(x == image).all((1, 2, 3))].tolist() == [label]


@pytest.mark.parametrize("held_out", ["test", "val", "validation"])
@pytest.mark.parametrize("classes", [(), ("a", "b")])
def test_subfolders_train_and_test_are_the_parts(held_out, classes, tmp_path):
    for part, chosen in (("train", COLOURS[:4]), (held_out, COLOURS[4:])):
        for i, name in enumerate(classes or (".",)):
            write(tmp_path / part / name, chosen[i :: max(len(classes), 1)])
    data = load(tmp_path)
    assert (len(data.train), len(data.test)) == (4, 2)
    assert data.classes == classes
    order = [0, 2, 1, 3] if classes else [0, 1, 2, 3]
    np.testing.assert_array_equal(np.rint(data.to_units(data.train)), COLOURS[order])
    if classes:
        assert (data.train_labels.tolist(), data.test_labels.tolist()) == ([0, 0, 1, 1], [0, 1])


def test_train_alone_is_split_and_one_subfolder_is_no_class(tmp_path):
    write(tmp_path / "train", COLOURS)
    assert len(load(tmp_path).test) == 1
    write(tmp_path / "one/all", COLOURS)
    data = load(tmp_path / "one")
    assert (data.train_labels, data.classes) == (None, ())


def test_images_are_resized_if_it_is_said(tmp_path):
    write(tmp_path, [np.full((4, 6, 3), 10, np.uint8), np.full((9, 9, 3), 250, np.uint8)] * 3)
    with pytest.raises(
        ValueError,
        match=r"path=.*01\.png: it is 9×9 pixels, 3 channels, and 00\.png is 4×6 pixels, "
        r"3 channels: give image_size=",
    ):
        load(tmp_path)
    data = load(tmp_path, image_size=(5, 7))
    assert data.shape == (5, 7, 3)
    assert np.unique(pixels(data)[0]).tolist() == [10, 250]
    assert load(tmp_path, image_size=8).shape == (8, 8, 3)
    write(tmp_path / "deep", (GREYS.astype(np.uint16) + 1) * 200)
    assert load(tmp_path / "deep", image_size=(3, 2)).shape == (3, 2, 1)
    for size in (0, (4,), (4, -1), True):
        with pytest.raises(ValueError, match="image_size="):
            load(tmp_path, image_size=size)
    with pytest.raises(
        ValueError, match=r"image_size=\(8, 8\): 'digits' is not a folder of images"
    ):
        load("digits", image_size=8)


def png(data):
    """A PNG file with a header of 5×4 greys, and these pixels."""

    def chunk(kind, content):
        return (
            struct.pack(">I", len(content))
            + kind
            + content
            + struct.pack(">I", zlib.crc32(kind + content))
        )

    head = struct.pack(">IIBBBBB", 4, 5, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@pytest.mark.parametrize("content", [b"", b"hello", png(zlib.compress(b"\0" * 9))])
def test_damaged_images_are_named(content, tmp_path):
    write(tmp_path, GREYS)
    (tmp_path / "03.png").write_bytes(content)
    with pytest.raises(ValueError, match=r"path=.*03\.png: not an image, or damaged: "):
        load(tmp_path)


def test_folders_that_are_refused(tmp_path):
    write(tmp_path / "mixed", COLOURS[:2])
    write(tmp_path / "mixed", GREYS[:2], start=2)
    fix = r"path=.*02\.png: it is 5×4 pixels, 1 channel of uint8, and 00\.png .*convert\('RGB'\)"
    with pytest.raises(ValueError, match=fix):
        load(tmp_path / "mixed")
    write(tmp_path / "deep/a/b", COLOURS)
    with pytest.raises(ValueError, match=r"path=.*00\.png: images are in the folder itself or in"):
        load(tmp_path / "deep")
    write(tmp_path / "some", COLOURS)
    write(tmp_path / "some/class", COLOURS)
    with pytest.raises(ValueError, match=r"path=.*some: some of its images are in subfolders"):
        load(tmp_path / "some")
    write(tmp_path / "beside", COLOURS)
    write(tmp_path / "beside/train", COLOURS)
    with pytest.raises(ValueError, match=r"path=.*beside: it has images beside the subfolder"):
        load(tmp_path / "beside")
    write(tmp_path / "held/test", COLOURS)
    with pytest.raises(ValueError, match=r"path=.*held: it has a subfolder `test`, and no"):
        load(tmp_path / "held")
    for name in ("train/a", "train/b", "test/c"):
        write(tmp_path / "other" / name, COLOURS)
    with pytest.raises(ValueError, match=r"path=.*other: the test images are of classes \['c'\]"):
        load(tmp_path / "other")
    frames = [Image.fromarray(image) for image in COLOURS]
    (tmp_path / "moving").mkdir()
    frames[0].save(tmp_path / "moving/a.gif", save_all=True, append_images=frames[1:])
    with pytest.raises(ValueError, match=r"path=.*a\.gif: it has several frames"):
        load(tmp_path / "moving")
