"""A user's pictures: every kind gives the exact pixels, every bad file a helpful message."""

import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from kerascifar.common.errors import UserError
from kerascifar.images import photo

RANDOM = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)


def saved(folder, image, name="picture.png", **options):
    path = folder / name
    image.save(path, **options)
    return path


def png_header(width, height):
    """A PNG that ends where its pixels begin: it contains only what is read before decoding."""
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    start = struct.pack(">I", 1000) + b"IDAT"
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk)) + start


@pytest.mark.parametrize("suffix", ["png", "bmp", "tiff", "ppm", "tga"])
def test_a_32_by_32_picture_does_not_change(tmp_path, suffix):
    """Fails on any resampling, channel swap or loss."""
    pixels = photo.read(saved(tmp_path, Image.fromarray(RANDOM), f"picture.{suffix}"))
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels, RANDOM)


def test_a_large_picture_is_averaged_by_areas(tmp_path):
    """Each 3×3 block holds one value plus and minus something: nearest or Lanczos would not give the mean."""
    mean = RANDOM // 2 + 60
    offsets = np.array([-50, 50, 0, 20, -20, 0, 7, -7, 0]).reshape(3, 3)
    large = mean.repeat(3, axis=0).repeat(3, axis=1) + np.tile(offsets, (32, 32))[..., np.newaxis]
    path = saved(tmp_path, Image.fromarray(large.astype(np.uint8)))
    np.testing.assert_array_equal(photo.read(path), mean)


@pytest.mark.parametrize("shape", [(32, 96), (96, 32)])
def test_the_centre_square_is_taken(tmp_path, shape):
    """Fails if the picture is squeezed, or cut at an end."""
    wide = np.zeros((*shape, 3), np.uint8)
    wide[(shape[0] - 32) // 2 :, (shape[1] - 32) // 2 :][:32, :32] = RANDOM
    np.testing.assert_array_equal(photo.read(saved(tmp_path, Image.fromarray(wide))), RANDOM)


def test_a_single_pixel_becomes_32_by_32(tmp_path):
    path = saved(tmp_path, Image.new("RGB", (1, 1), (10, 20, 30)))
    np.testing.assert_array_equal(photo.read(path), np.full((32, 32, 3), (10, 20, 30), np.uint8))


@pytest.mark.parametrize(
    "orientation, stored",
    [
        (1, RANDOM),
        (3, RANDOM[::-1, ::-1]),
        (6, np.rot90(RANDOM)),
        (8, np.rot90(RANDOM, -1)),
        (2, RANDOM[:, ::-1]),
    ],
)
def test_exif_rotation_is_undone(tmp_path, orientation, stored):
    """The camera stores the picture rotated: EXIF 6 means "rotate clockwise by 90° to view"."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path, Image.fromarray(np.ascontiguousarray(stored)), exif=exif)
    np.testing.assert_array_equal(photo.read(path), RANDOM)


def test_transparent_areas_become_white(tmp_path):
    """Opaque pixels stay, half-transparent ones are mixed with white, invisible ones are white."""
    rgba = np.zeros((32, 32, 4), np.uint8)
    rgba[..., 0] = 200
    rgba[:10, :, 3], rgba[10:20, :, 3] = 255, 128
    pixels = photo.read(saved(tmp_path, Image.fromarray(rgba)))
    assert pixels[0, 0].tolist() == [200, 0, 0]
    assert pixels[15, 0].tolist() == [227, 127, 127]  # 255 + (200 - 255) · 128/255, 255 · (1 - 128/255)
    assert pixels[31, 0].tolist() == [255, 255, 255]


def test_a_transparent_palette_colour_is_white(tmp_path):
    image = Image.new("P", (32, 32), 0)
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.paste(1, (0, 0, 32, 16))
    pixels = photo.read(saved(tmp_path, image, "picture.gif", transparency=0))
    assert pixels[0, 0].tolist() == [0, 0, 255]
    assert pixels[31, 0].tolist() == [255, 255, 255]


def test_grey_with_transparency_and_cmyk(tmp_path):
    grey = np.dstack([np.full((32, 32), 100, np.uint8), np.full((32, 32), 255, np.uint8)])
    grey[0, 0, 1] = 0
    pixels = photo.read(saved(tmp_path, Image.fromarray(grey)))
    assert pixels[0, 0].tolist() == [255, 255, 255]
    assert pixels[5, 5].tolist() == [100, 100, 100]
    cmyk = photo.read(saved(tmp_path, Image.new("CMYK", (32, 32), (0, 255, 255, 0)), "picture.tiff"))
    assert cmyk[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("mode", ["L", "1"])
def test_grey_and_black_and_white_have_three_equal_channels(tmp_path, mode):
    grey = Image.fromarray(RANDOM[..., 0]).convert(mode)
    pixels = photo.read(saved(tmp_path, grey))
    np.testing.assert_array_equal(pixels, np.dstack([np.asarray(grey.convert("L"))] * 3))


@pytest.mark.parametrize("suffix", ["png", "tiff", "pgm"])
def test_sixteen_bits_keep_their_brightness(tmp_path, suffix):
    """Pillow's own conversion clips: 65,535 · ½ would become white."""
    grey = np.zeros((32, 32), np.uint16)
    grey[0, :3] = [32_896, 65_535, 257]
    pixels = photo.read(saved(tmp_path, Image.fromarray(grey), f"picture.{suffix}"))
    assert pixels[0, :4, 1].tolist() == [128, 255, 1, 0]


@pytest.mark.parametrize(
    "values, expected",
    [([0.0, 0.5, 1.0], [0, 128, 255]), ([-3.0, 1.0, 5.0], [0, 128, 255]), ([7.0, 7.0, 7.0], [0, 0, 0])],
)
def test_decimal_grey_is_stretched(tmp_path, values, expected):
    grey = np.full((32, 32), values[0], np.float32)
    grey[0, :3] = values
    assert photo.read(saved(tmp_path, Image.fromarray(grey), "picture.tiff"))[0, :3, 0].tolist() == expected


def test_an_animation_gives_its_first_frame(tmp_path):
    frames = [Image.new("RGB", (32, 32), colour) for colour in ("red", "blue")]
    path = saved(tmp_path, frames[0], "picture.gif", save_all=True, append_images=frames[1:])
    assert photo.read(path)[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize(
    "width, height, size",
    [(40_000, 10, "40,000 × 10"), (10, 20_001, "10 × 20,001"), (10_000, 5_001, "10,000 × 5,001")],
)
def test_a_huge_picture_is_refused_by_its_header(tmp_path, width, height, size):
    """The file has no pixels: a reader that decodes first would call it damaged."""
    path = tmp_path / "huge.png"
    path.write_bytes(png_header(width, height))
    with pytest.raises(UserError, match=rf"huge\.png: the photo is too large \({size} pixels\)\.\nExpected at most 50"):
        photo.read(path)


@pytest.mark.parametrize("side", [10_000, 40_000])
def test_a_decompression_bomb_is_refused(tmp_path, side):
    """Pillow warns from 89 and refuses from 179 megapixels on, before we check the size."""
    path = tmp_path / "bomb.png"
    path.write_bytes(png_header(side, side))
    with pytest.raises(UserError, match="the photo is too large"):
        photo.read(path)


@pytest.mark.parametrize("side", [7_071, 20_000])
def test_the_largest_pictures_are_accepted(tmp_path, side):
    """Just inside the limits: 7,071² = 49,999,041 pixels. Fails if a limit is off by one."""
    shape = (side, side) if side == 7_071 else (side, 2)
    path = saved(tmp_path, Image.new("L", shape, 9))
    assert photo.read(path)[0, 0].tolist() == [9, 9, 9]


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "tiff", "webp"])
def test_a_truncated_picture_is_refused(tmp_path, suffix):
    path = saved(tmp_path, Image.fromarray(np.tile(RANDOM, (4, 4, 1))), f"picture.{suffix}")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UserError, match=r"picture\.\w+: the photo is damaged or incomplete"):
        photo.read(path)


@pytest.mark.parametrize("content", [b"", b"no picture at all\n", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"])
def test_a_file_that_is_not_a_picture_is_refused(tmp_path, content):
    """EPS counts as one of them, as reading it would start Ghostscript."""
    path = tmp_path / "picture.png"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"picture\.png is not an image in a known format\.\nExpected PNG, JPEG"):
        photo.read(path)


def test_a_missing_file_a_folder_and_a_pipe_are_named(tmp_path):
    with pytest.raises(UserError, match=r"nowhere\.png does not exist\.\nCheck the path"):
        photo.read(tmp_path / "nowhere.png")
    with pytest.raises(UserError, match=r"is a folder\.\nExpected a photo"):
        photo.read(tmp_path)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")  # opening it would wait for ever
        with pytest.raises(UserError, match="is not a regular file"):
            photo.read(tmp_path / "pipe")
