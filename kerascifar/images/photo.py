"""Converts a user's photo, of any size and kind, to the 32×32 RGB pixels that the models expect."""

import stat
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from kerascifar.common.errors import UserError

SIDE = 32  # pixels, as in CIFAR-10
MAX_PIXELS = 50_000_000
MAX_SIDE = 20_000
# Not all formats that Pillow knows: some start another program (EPS runs Ghostscript), others are not images.
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000", "PPM", "TGA", "ICO")


def read(path: Path) -> np.ndarray:
    """Reads a photo as a model sees it.

    The photo is rotated as its EXIF data says and cropped to the largest square in its centre. Transparent areas
    become white. Large photos are reduced by averaging areas, those smaller than 32×32 enlarged bilinearly; a 32×32
    RGB photo does not change. Grey, palette, CMYK and 16-bit photos become 8-bit RGB. An animation gives its first
    frame.

    Args:
        path: PNG, JPEG, WebP, GIF, BMP, TIFF, AVIF, JPEG 2000, PPM, TGA or ICO; the content decides, not the name.
    Returns:
        uint8 (32, 32, 3).
    Raises:
        UserError: the file does not exist, is not an image, is damaged, or exceeds `MAX_PIXELS` or `MAX_SIDE`. The
            size is taken from the header, before anything is decoded.
    """
    _check_file(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about odd metadata, which does not affect the pixels
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with _open(path) as image:
                _check_size(path, image.width, image.height)
                return _pixels(image)
        except (Image.DecompressionBombError, Image.DecompressionBombWarning):
            raise UserError(_too_large(path, "")) from None
        except (UserError, KeyboardInterrupt):
            raise
        except Exception as error:  # a damaged file can make Pillow raise nearly anything
            raise UserError(
                f"{path}: the photo is damaged or incomplete ({error}).\nCopy it again, or open it in an "
                "image viewer and save it as PNG.\nNo file was changed."
            ) from error


def _check_file(path: Path) -> None:
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise UserError(f"{path} does not exist.\nCheck the path given to --image.") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}).\nCheck the path given to --image.") from None
    if stat.S_ISDIR(mode):
        raise UserError(f"{path} is a folder.\nExpected a photo, such as --image {path / 'photo.jpg'}.")
    if not stat.S_ISREG(mode):
        raise UserError(f"{path} is not a regular file.\nExpected a photo, such as a PNG or JPEG file.")


def _open(path: Path) -> Image.Image:
    """Opens a photo and reads only its header."""
    Image.init()
    try:
        return Image.open(path, formats=[name for name in FORMATS if name in Image.OPEN])
    except UnidentifiedImageError:
        raise UserError(
            f"{path} is not an image in a known format.\nExpected PNG, JPEG, WebP, GIF, BMP, TIFF, AVIF, JPEG 2000, "
            "PPM, TGA or ICO. Open it in an image viewer and save it as PNG."
        ) from None
    except PermissionError:
        raise UserError(f"{path} cannot be read.\nChange its permissions, or name another photo.") from None


def _too_large(path: Path, size: str) -> str:
    return (
        f"{path}: the photo is too large{size}.\nExpected at most {MAX_PIXELS // 1_000_000} megapixels, and at most "
        f"{MAX_SIDE:,} pixels in width and height. The models see only 32×32 pixels: save a smaller copy.\n"
        "The photo was not decoded."
    )


def _check_size(path: Path, width: int, height: int) -> None:
    if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
        raise UserError(_too_large(path, f" ({width:,} × {height:,} pixels)"))


def _pixels(image: Image.Image) -> np.ndarray:
    """The central square of a photo, uint8 (32, 32, 3)."""
    rotated = ImageOps.exif_transpose(image)
    side = min(rotated.size)
    left, top = (rotated.width - side) // 2, (rotated.height - side) // 2
    square = _rgb(rotated.crop((left, top, left + side, top + side)))
    filter_ = Image.Resampling.BOX if side >= SIDE else Image.Resampling.BILINEAR
    return np.asarray(square.resize((SIDE, SIDE), filter_), dtype=np.uint8)


def _rgb(image: Image.Image) -> Image.Image:
    """The photo in 8-bit RGB, on a white background."""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return Image.fromarray(_eight_bits(np.asarray(image), image.mode)).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")


def _eight_bits(grey: np.ndarray, mode: str) -> np.ndarray:
    """Converts grey values to uint8: 16-bit values by their range, others stretched from black to white.

    Values between 0 and 1 keep their brightness: 1 is white.
    """
    grey = np.nan_to_num(grey.astype(np.float64), posinf=0.0, neginf=0.0)
    low, high = float(grey.min()), float(grey.max())
    if mode.startswith("I;16") or (mode == "I" and low >= 0 and high <= 65_535):
        low, high = 0.0, 65_535.0
    elif low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    return np.rint((grey - low) / ((high - low) or 1.0) * 255).astype(np.uint8)
