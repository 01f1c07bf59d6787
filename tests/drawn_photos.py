"""Photos that the tests draw themselves: moths on a sheet, in every format that is read and in odd variants.

Nothing here is photographed, so nothing here has an owner. The same arguments give the same bytes.
"""

import struct
import zlib
from collections.abc import Iterator
from datetime import datetime
from io import BytesIO

import numpy as np
import pillow_heif
from PIL import Image, ImageChops, ImageDraw, ImageEnhance, ImageFilter, ImageOps

pillow_heif.register_heif_opener()

Colour = tuple[int, int, int]

PATTERNS: tuple[tuple[Colour, Colour, str], ...] = (
    ((201, 139, 62), (92, 52, 24), "bands"),
    ((92, 110, 74), (222, 226, 196), "spots"),
    ((226, 214, 186), (120, 84, 60), "lines"),
    ((150, 52, 60), (30, 26, 36), "spots"),
    ((110, 112, 124), (52, 54, 66), "bands"),
    ((240, 200, 72), (140, 70, 20), "lines"),
    ((70, 60, 56), (180, 160, 140), "plain"),
)
"""Wing colour, marking colour and marking of each drawable kind of moth."""

SUFFIXES = {
    "JPEG": "jpg",
    "PNG": "png",
    "WEBP": "webp",
    "HEIF": "heic",
    "TIFF": "tif",
    "BMP": "bmp",
    "GIF": "gif",
}
"""File name suffix of each format that is read, by Pillow's names."""


def draw_moth(kind: int = 0, *, seed: int = 0, size: tuple[int, int] = (320, 240)) -> Image.Image:
    """One moth, wings spread, on a lit sheet. ``kind`` chooses its wings, ``seed`` its pose and light."""
    rng = np.random.default_rng([kind, seed])
    width, height = size
    sheet = _sheet(rng, width, height)
    span = int(min(width, height) * rng.uniform(0.82, 0.95))
    moth = _moth(PATTERNS[kind % len(PATTERNS)], rng, 256).resize((span, span), Image.Resampling.BICUBIC)
    moth = moth.rotate(float(rng.uniform(-25, 25)), Image.Resampling.BICUBIC)
    x = (width - span) // 2 + int(rng.uniform(-0.04, 0.04) * width)
    y = (height - span) // 2 + int(rng.uniform(-0.04, 0.04) * height)
    shadow = Image.new("RGBA", moth.size, (40, 36, 48, 255))
    faint = moth.getchannel("A").point(lambda value: value // 3)
    sheet.paste(shadow, (x + span // 40, y + span // 40), faint)
    sheet.paste(moth, (x, y), moth)
    return ImageEnhance.Brightness(sheet).enhance(float(rng.uniform(0.9, 1.05)))


def new_moth(seed: int) -> bytes:
    """JPEG of a kind that no tiny bundle knows: a drawn moth in negative."""
    stream = BytesIO()
    ImageOps.invert(draw_moth(1, seed=seed).convert("RGB")).save(stream, "JPEG", quality=95)
    return stream.getvalue()


def _sheet(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    light = np.linspace(238, 214, width)[None, :, None] + np.linspace(6, -10, height)[:, None, None]
    weave = rng.normal(0, 4, (height, width, 1))
    tint = np.array([1.0, 0.985, 0.94])
    return Image.fromarray(np.clip((light + weave) * tint, 0, 255).astype(np.uint8))


def _moth(pattern: tuple[Colour, Colour, str], rng: np.random.Generator, side: int) -> Image.Image:
    wing, marking, style = pattern
    jitter = rng.integers(-10, 11, 3)
    wing = tuple(int(np.clip(channel + shift, 0, 255)) for channel, shift in zip(wing, jitter, strict=True))  # type: ignore[assignment]
    image = Image.new("RGBA", (side, side), (0, 0, 0, 0))
    half = _wings(wing, marking, style, side)
    image.alpha_composite(half)
    image.alpha_composite(half.transpose(Image.Transpose.FLIP_LEFT_RIGHT))
    draw = ImageDraw.Draw(image)
    middle, unit = side / 2, side / 256
    for direction in (-1, 1):
        antenna = [(0, 74), (direction * 26, 42), (direction * 44, 36)]
        points = [(middle + x * unit, y * unit) for x, y in antenna]
        draw.line(points, fill=(60, 48, 40, 255), width=max(1, round(3 * unit)))
    body = tuple(int(channel * 0.55) for channel in wing)
    draw.ellipse([middle - 13 * unit, 70 * unit, middle + 13 * unit, 190 * unit], fill=(*body, 255))
    draw.ellipse([middle - 11 * unit, 60 * unit, middle + 11 * unit, 84 * unit], fill=(*marking, 255))
    return image.filter(ImageFilter.GaussianBlur(0.6))


def _wings(wing: Colour, marking: Colour, style: str, side: int) -> Image.Image:
    """The left pair of wings with its markings."""
    unit = side / 256
    image = Image.new("RGBA", (side, side), (0, 0, 0, 0))
    draw = ImageDraw.Draw(image)

    def scaled(*points: tuple[int, int]) -> list[tuple[float, float]]:
        return [(x * unit, y * unit) for x, y in points]

    hind = tuple(min(255, int(channel * 1.12) + 8) for channel in wing)
    draw.polygon(scaled((124, 118), (58, 150), (44, 196), (84, 220), (120, 176)), fill=(*hind, 255))
    draw.polygon(scaled((124, 84), (60, 52), (8, 72), (26, 128), (66, 154), (124, 130)), fill=(*wing, 255))
    markings = Image.new("RGBA", (side, side), (0, 0, 0, 0))
    brush = ImageDraw.Draw(markings)
    if style == "bands":
        brush.line(scaled((44, 56), (56, 146)), fill=(*marking, 255), width=round(13 * unit))
        brush.line(scaled((88, 62), (90, 146)), fill=(*marking, 255), width=round(9 * unit))
    elif style == "lines":
        for x in (28, 46, 64, 82, 100):
            brush.line(scaled((x, 52), (x + 12, 214)), fill=(*marking, 255), width=round(3 * unit))
    elif style == "spots":
        for x, y, radius in ((42, 92, 13), (76, 98, 9), (74, 180, 11), (58, 126, 6)):
            corners = [corner * unit for corner in (x - radius, y - radius, x + radius, y + radius)]
            brush.ellipse(corners, fill=(*marking, 255))
    nothing = Image.new("RGBA", (side, side), (0, 0, 0, 0))
    on_wings = ImageChops.multiply(markings.getchannel("A"), image.getchannel("A"))
    image.alpha_composite(Image.composite(markings, nothing, on_wings))
    return image


def exif(
    *,
    orientation: int | None = None,
    taken: datetime | None = None,
    position: tuple[float, float] | None = None,
) -> bytes:
    """An EXIF block with what was given: orientation 1-8, local time, (latitude, longitude) in degrees."""
    block = Image.Exif()
    if orientation is not None:
        block[0x0112] = orientation
    if taken is not None:
        block.get_ifd(0x8769)[0x9003] = taken.strftime("%Y:%m:%d %H:%M:%S")
    if position is not None:
        latitude, longitude = position
        block.get_ifd(0x8825).update(
            {
                1: "N" if latitude >= 0 else "S",
                2: _degrees_minutes_seconds(latitude),
                3: "E" if longitude >= 0 else "W",
                4: _degrees_minutes_seconds(longitude),
            }
        )
    return block.tobytes()


def _degrees_minutes_seconds(degrees: float) -> tuple[float, float, float]:
    whole, rest = divmod(abs(degrees) * 3600, 3600)
    minutes, seconds = divmod(rest, 60)
    return (whole, minutes, round(seconds, 4))


def encode(image: Image.Image, photo_format: str = "JPEG", **options: object) -> bytes:
    """The bytes of an image in one of the formats that are read (Pillow's names)."""
    out = BytesIO()
    if photo_format in ("JPEG", "WEBP", "HEIF"):
        options.setdefault("quality", 90)
    image.save(out, photo_format, **options)
    return out.getvalue()


def photo(
    photo_format: str = "JPEG",
    kind: int = 0,
    *,
    seed: int = 0,
    size: tuple[int, int] = (320, 240),
    exif: bytes = b"",
) -> bytes:
    """A drawn moth as the bytes of a photo."""
    options: dict[str, object] = {"exif": exif} if exif else {}
    return encode(draw_moth(kind, seed=seed, size=size), photo_format, **options)


def upright_and_turned(orientation: int, *, size: tuple[int, int] = (320, 240)) -> tuple[bytes, bytes]:
    """The same moth twice: stored upright, and stored turned with the EXIF orientation that turns it back."""
    upright = draw_moth(2, size=size)
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }.get(orientation)
    turned = upright if undo is None else upright.transpose(undo)
    return encode(upright, "PNG"), encode(turned, "PNG", exif=exif(orientation=orientation))


def dark_photo() -> bytes:
    """A photo taken with next to no light."""
    return encode(ImageEnhance.Brightness(draw_moth(1)).enhance(0.08))


def blurred_photo() -> bytes:
    """A photo badly out of focus."""
    return encode(draw_moth(1, size=(640, 480)).filter(ImageFilter.GaussianBlur(24)))


def odd_photos() -> Iterator[tuple[str, bytes]]:
    """Photos that are fine and unusual, each with a name: all must be decoded."""
    moth = draw_moth(3)
    grey16 = np.asarray(moth.convert("L"), dtype=np.uint16) * 257
    rgba = moth.convert("RGBA")
    rgba.putalpha(Image.linear_gradient("L").resize(moth.size))
    yield "CMYK JPEG", encode(moth.convert("CMYK"))
    yield "grey JPEG", encode(moth.convert("L"))
    yield "progressive JPEG", encode(moth, progressive=True)
    yield "16-bit grey PNG", encode(Image.fromarray(grey16), "PNG")
    yield "16-bit grey TIFF", encode(Image.fromarray(grey16), "TIFF")
    yield "32-bit float TIFF", encode(Image.fromarray((grey16 / 65535).astype(np.float32)), "TIFF")
    yield "palette PNG", encode(moth.quantize(64), "PNG")
    yield "palette PNG with transparency", encode(moth.quantize(64), "PNG", transparency=0)
    yield "RGBA PNG", encode(rgba, "PNG")
    yield "grey PNG with alpha", encode(rgba.convert("LA"), "PNG")
    yield "1-bit PNG", encode(moth.convert("1"), "PNG")
    yield "CMYK TIFF", encode(moth.convert("CMYK"), "TIFF")
    yield "compressed TIFF", encode(moth, "TIFF", compression="tiff_deflate")
    yield "RGBA WebP", encode(rgba, "WEBP")
    yield "lossless WebP", encode(moth, "WEBP", lossless=True)
    others = [draw_moth(4), draw_moth(5)]
    yield "animated GIF", encode(moth, "GIF", save_all=True, append_images=others, duration=50)
    yield "animated WebP", encode(moth, "WEBP", save_all=True, append_images=others, duration=50)
    yield "animated PNG", encode(moth, "PNG", save_all=True, append_images=others, duration=50)
    yield "TIFF of several pages", encode(moth, "TIFF", save_all=True, append_images=others)
    yield "one-pixel PNG", encode(Image.new("RGB", (1, 1), (9, 9, 9)), "PNG")
    yield "very wide JPEG", encode(moth.resize((4000, 8)))
    yield "JPEG with a zip behind it", encode(moth) + b"PK\x03\x04 and more"


def bomb_png(width: int = 50_000, height: int = 50_000) -> bytes:
    """A few bytes of PNG that declare, and would inflate to, gigabytes of pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(b"\x00" * 1_000_000, 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def damaged(data: bytes, seed: int) -> bytes:
    """One photo cut off or with flipped bits, as ``seed`` says."""
    rng = np.random.default_rng(seed)
    if rng.random() < 0.5:
        return data[: int(rng.integers(0, len(data)))]
    flipped = bytearray(data)
    for position in rng.integers(0, len(data), int(rng.integers(1, 12))):
        flipped[position] ^= 1 << int(rng.integers(0, 8))
    return bytes(flipped)
