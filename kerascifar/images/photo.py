"""A picture of the user's own, of any size and kind, as the 32×32 RGB pixels that the models take."""

import stat
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from kerascifar.common.errors import UserError

SIDE = 32  # pixels, as in CIFAR-10
MAX_PIXELS = 50_000_000
MAX_SIDE = 20_000
# Not every format of Pillow's: some start another program (EPS runs Ghostscript), others hold no picture.
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000", "PPM", "TGA", "ICO")


def read(path: Path) -> np.ndarray:
    """Reads a picture as a model sees it.

    It is turned as its EXIF data says, cut to the largest square in its centre, laid on white where it is transparent,
    and reduced by averaging areas (enlarged bilinearly when it is smaller than 32×32). A 32×32 RGB picture comes out
    as it is. Grey, palette, CMYK and 16-bit pictures become 8-bit RGB; of an animation the first frame is taken.

    Args:
        path: PNG, JPEG, WebP, GIF, BMP, TIFF, AVIF, JPEG 2000, PPM, TGA or ICO, told by the content, not by the name.
    Returns:
        uint8 (32, 32, 3).
    Raises:
        UserError: no such file, no picture, a damaged one, or one of more than `MAX_PIXELS` or `MAX_SIDE`; the size is
            taken from the header, before anything is decoded.
    """
    _check_file(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # remarks on odd metadata, which do not concern the pixels
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with _open(path) as image:
                _check_size(path, image.width, image.height)
                return _pixels(image)
        except (Image.DecompressionBombError, Image.DecompressionBombWarning):
            raise UserError(_too_large(path, "")) from None
        except (UserError, KeyboardInterrupt):
            raise
        except Exception as error:  # Pillow's readers raise nearly anything on a damaged file
            raise UserError(
                f"{path}: the picture is damaged or cut short ({error}).\nCopy it again, or open it in a picture "
                "viewer and save it as PNG.\nNo file was changed."
            ) from error


def _check_file(path: Path) -> None:
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such file.\nCheck the path given to --image.") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read ({error}).\nCheck the path given to --image.") from None
    if stat.S_ISDIR(mode):
        raise UserError(f"{path}: is a folder.\nExpected one picture, such as --image {path / 'photo.jpg'}.")
    if not stat.S_ISREG(mode):
        raise UserError(f"{path}: is no ordinary file.\nExpected a picture, such as a PNG or JPEG file.")


def _open(path: Path) -> Image.Image:
    """Reads the header only."""
    Image.init()
    try:
        return Image.open(path, formats=[name for name in FORMATS if name in Image.OPEN])
    except UnidentifiedImageError:
        raise UserError(
            f"{path}: is no picture of a known kind.\nExpected PNG, JPEG, WebP, GIF, BMP, TIFF, AVIF, JPEG 2000, PPM, "
            "TGA or ICO. Open it in a picture viewer and save it as PNG."
        ) from None
    except PermissionError:
        raise UserError(f"{path}: may not be read.\nChange its permissions, or name another picture.") from None


def _too_large(path: Path, size: str) -> str:
    return (
        f"{path}: the picture is too large{size}.\nExpected at most {MAX_PIXELS // 1_000_000} megapixels, and at most "
        f"{MAX_SIDE:,} pixels in width and height. Only 32×32 pixels are looked at: save a smaller copy.\n"
        "Nothing of it was decoded."
    )


def _check_size(path: Path, width: int, height: int) -> None:
    if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
        raise UserError(_too_large(path, f" ({width:,} × {height:,} pixels)"))


def _pixels(image: Image.Image) -> np.ndarray:
    turned = ImageOps.exif_transpose(image)
    side = min(turned.size)
    left, top = (turned.width - side) // 2, (turned.height - side) // 2
    square = _rgb(turned.crop((left, top, left + side, top + side)))
    filter_ = Image.Resampling.BOX if side >= SIDE else Image.Resampling.BILINEAR
    return np.asarray(square.resize((SIDE, SIDE), filter_), dtype=np.uint8)


def _rgb(image: Image.Image) -> Image.Image:
    """8-bit RGB, on white where transparent."""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return Image.fromarray(_eight_bits(np.asarray(image), image.mode)).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")


def _eight_bits(grey: np.ndarray, mode: str) -> np.ndarray:
    """Grey values of 16 bits (65,535 is white), or of an unknown range: that is stretched from black to white."""
    grey = np.nan_to_num(grey.astype(np.float64), posinf=0.0, neginf=0.0)
    low, high = float(grey.min()), float(grey.max())
    if mode.startswith("I;16") or (mode == "I" and low >= 0 and high <= 65_535):
        low, high = 0.0, 65_535.0
    elif low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    return np.rint((grey - low) / ((high - low) or 1.0) * 255).astype(np.uint8)
