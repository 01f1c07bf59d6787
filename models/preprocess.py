"""Photo bytes -> uint8 array. The only decoding and resizing in the project; knows no file, no network.

Training, evaluation and serving all call this module: there is no second way for a photo to become numbers.
"""

import warnings
from io import BytesIO
from typing import Annotated, Literal

import numpy as np
import pillow_heif
from numpy.typing import NDArray
from PIL import Image, ImageOps
from pydantic import BaseModel, ConfigDict, Field

from models.exif import PhotoMetadata, read_metadata

pillow_heif.register_heif_opener()
Image.MAX_IMAGE_PIXELS = None  # our own limit, checked before a pixel is decoded, is stricter

PHOTO_FORMATS = ("JPEG", "PNG", "WEBP", "HEIF", "TIFF", "BMP", "GIF")
"""Formats that are accepted, by Pillow's names."""

_SIGNATURES: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\xff\xd8\xff", "JPEG"),
    (0, b"\x89PNG\r\n\x1a\n", "PNG"),
    (8, b"WEBP", "WEBP"),
    (0, b"II*\x00", "TIFF"),
    (0, b"MM\x00*", "TIFF"),
    (0, b"BM", "BMP"),
    (0, b"GIF87a", "GIF"),
    (0, b"GIF89a", "GIF"),
)
_TURNED_BY_DECODER = ("HEIF", "TIFF")
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}


class PhotoError(ValueError):
    """A photo that cannot be used, with a sentence for the person who sent it."""


class UnsupportedPhotoFormat(PhotoError):
    """The first bytes are not those of a photo format that is accepted."""


class PhotoTooLarge(PhotoError):
    """The photo exceeds the limit on bytes or pixels."""


class UndecodablePhoto(PhotoError):
    """The format is known, the content is damaged."""


class PhotoLimits(BaseModel):
    """What a photo may measure. Bytes as sent; megapixels as declared in its header."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_bytes: Annotated[int, Field(gt=0)] = 20_000_000
    max_pixels: Annotated[int, Field(gt=0)] = 50_000_000


DEFAULT_LIMITS = PhotoLimits()


class Preprocessing(BaseModel):
    """How a bundle wants its photos: a square of ``size_px``.

    ``crop`` scales the short side to ``size_px`` and cuts the middle out; ``pad`` scales the long side and
    fills with grey.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    size_px: Annotated[int, Field(ge=16, le=1024)]
    fit: Literal["crop", "pad"] = "crop"


class PhotoInfo(BaseModel):
    """What is known of a photo as it was sent. Pixels are those of the upright photo."""

    model_config = ConfigDict(frozen=True)

    width_px: int
    height_px: int
    format: str
    orientation_applied: bool
    metadata: PhotoMetadata


def sniff(data: bytes) -> str:
    """Photo format by its first bytes, whatever name or MIME type came with it.

    Raises UnsupportedPhotoFormat.

    >>> sniff(b"GIF89a...")
    'GIF'
    """
    for offset, signature, name in _SIGNATURES:
        if data[offset : offset + len(signature)] == signature and (name != "WEBP" or data[:4] == b"RIFF"):
            return name
    if data[4:8] == b"ftyp" and data[8:12] in _HEIF_BRANDS:
        return "HEIF"
    raise UnsupportedPhotoFormat(
        "This is not a photo in a format that is read here. "
        "Accepted: JPEG, PNG, WebP, HEIC/HEIF, TIFF, BMP and GIF."
    )


def open_photo(
    data: bytes, min_side_px: int, limits: PhotoLimits = DEFAULT_LIMITS
) -> tuple[Image.Image, PhotoInfo]:
    """Decode a photo to an upright RGB image, short side at least ``min_side_px`` where it has that.

    A JPEG is decoded at a reduced scale where its size allows (``draft``): 90 ms become 16 for 8.8 MP.
    Transparency is laid over white; the first frame of an animation is taken; 16-bit grey is scaled to 8.
    Raises UnsupportedPhotoFormat, PhotoTooLarge, UndecodablePhoto.
    """
    if len(data) > limits.max_bytes:
        raise PhotoTooLarge(f"The photo has {len(data):,} bytes; the limit is {limits.max_bytes:,}.")
    name = sniff(data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of damaged EXIF, which costs no more than its facts
            with Image.open(BytesIO(data), formats=[name]) as image:
                _refuse_too_many_pixels(image, limits)
                return _decode(image, name, min_side_px)
    except PhotoError:
        raise
    except Exception as error:  # Pillow's decoders raise nearly every built-in exception on damaged files
        raise UndecodablePhoto(
            f"The file begins like {name} but cannot be decoded; it may be damaged or cut off."
        ) from error


def preprocess(
    data: bytes, wanted: Preprocessing, limits: PhotoLimits = DEFAULT_LIMITS
) -> tuple[NDArray[np.uint8], PhotoInfo]:
    """Photo bytes -> uint8 [size_px, size_px, 3] in RGB, and what is known of it. Raises as open_photo."""
    image, info = open_photo(data, wanted.size_px, limits)
    return fit(image, wanted), info


def fit(image: Image.Image, wanted: Preprocessing) -> NDArray[np.uint8]:
    """Upright RGB image -> uint8 [size_px, size_px, 3]."""
    square = (wanted.size_px, wanted.size_px)
    if wanted.fit == "pad":
        fitted = ImageOps.pad(image, square, Image.Resampling.BICUBIC, color=(128, 128, 128))
    else:
        fitted = ImageOps.fit(image, square, Image.Resampling.BICUBIC)
    return np.asarray(fitted, dtype=np.uint8)


def canvas(
    data: bytes, short_side_px: int, limits: PhotoLimits = DEFAULT_LIMITS
) -> tuple[NDArray[np.uint8], PhotoInfo]:
    """Photo bytes -> the whole photo, uint8 [H, W, 3], short side ``short_side_px``, to crop from.

    ``preprocess`` with ``crop`` at the same size is the middle square of this. Raises as open_photo.
    """
    image, info = open_photo(data, short_side_px, limits)
    scale = short_side_px / min(image.size)
    size = (max(short_side_px, round(image.width * scale)), max(short_side_px, round(image.height * scale)))
    if image.size != size:
        image = image.resize(size, Image.Resampling.BICUBIC)
    return np.asarray(image, dtype=np.uint8), info


def _refuse_too_many_pixels(image: Image.Image, limits: PhotoLimits) -> None:
    num_pixels = image.width * image.height
    if num_pixels > limits.max_pixels:
        raise PhotoTooLarge(
            f"The photo has {num_pixels / 1e6:.1f} megapixels; the limit is {limits.max_pixels / 1e6:.1f}."
        )
    if min(image.size) < 1:
        raise UndecodablePhoto("The photo has no pixels.")


def _decode(image: Image.Image, name: str, min_side_px: int) -> tuple[Image.Image, PhotoInfo]:
    width, height = image.size
    turned_by_decoder = name in _TURNED_BY_DECODER  # then ``size`` is that of the upright photo already
    orientation = image.info.get("original_orientation") if name == "HEIF" else image.getexif().get(0x0112)
    turned = orientation in range(2, 9)
    metadata = read_metadata(image)
    if name == "JPEG":
        scale = min_side_px / min(width, height)
        image.draft("RGB", (round(width * scale), round(height * scale)))
    image.load()
    upright = ImageOps.exif_transpose(image) if turned and not turned_by_decoder else image
    if turned and not turned_by_decoder and orientation in range(5, 9):
        width, height = height, width
    info = PhotoInfo(
        width_px=width, height_px=height, format=name, orientation_applied=turned, metadata=metadata
    )
    return _to_rgb(upright), info


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        image = _to_8_bit(image)
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        rgba = image if image.mode == "RGBA" else image.convert("RGBA")
        over_white = Image.new("RGB", rgba.size, (255, 255, 255))
        over_white.paste(rgba, mask=rgba.getchannel("A"))
        return over_white
    return image.convert("RGB") if image.mode != "RGB" else image


def _to_8_bit(image: Image.Image) -> Image.Image:
    """Wider grey -> 8-bit: 16-bit by its range, floats of 0 to 1 by theirs, what exceeds these by content.

    In place and in float32, so that 50 megapixels fit into the memory that a photo gets.
    """
    values = np.array(image, dtype=np.float32)
    np.nan_to_num(values, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
    low, high = min(0.0, float(values.min())), float(values.max())
    top = 1.0 if image.mode == "F" and high <= 1.0 else 255.0 if high <= 255.0 else max(65535.0, high)
    values -= low
    values *= 255.0 / (top - low)
    return Image.fromarray(np.rint(values, out=values).astype(np.uint8))
