"""A photo as somebody sent it -> decoded, or the refusal that an answer can carry. One way for all who decode."""

from collections.abc import Callable

from app.errors import AppError, Busy, PhotoTooLarge, UndecodablePhoto, UnsupportedPhoto
from app.inference.decode import DecodePool, DecoderStopped
from app.inference.decode_process import DecodedPhoto, OnPixels
from models import preprocess
from models.preprocess import Preprocessing

_REFUSALS: dict[type[preprocess.PhotoError], Callable[[str], AppError]] = {
    preprocess.UnsupportedPhotoFormat: UnsupportedPhoto,
    preprocess.PhotoTooLarge: PhotoTooLarge,
    preprocess.UndecodablePhoto: UndecodablePhoto,
}


async def decode_photo(
    decoder: DecodePool,
    data: bytes,
    wanted: Preprocessing,
    name: str = "",
    on_pixels: OnPixels | None = None,
) -> DecodedPhoto:
    """Decode one photo. ``name``: what to call it before the fault, such as "Photo 2: ".

    Raises UnsupportedPhoto, PhotoTooLarge, UndecodablePhoto, Busy where the service is stopping.
    """
    try:
        if on_pixels is None:
            return await decoder.decode(data, wanted)
        return await decoder.decode(data, wanted, on_pixels)
    except preprocess.PhotoError as error:
        raise _REFUSALS[type(error)](f"{name}{error}") from error
    except DecoderStopped as error:
        raise Busy("This service is stopping; nothing was done with the photo.") from error
