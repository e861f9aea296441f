"""Pictures that come with a request."""

import binascii
import re
from base64 import b64decode

from caxton.domain.completion import Image
from caxton.domain.errors import CaxtonError, Code
from caxton.domain.message import Message

DATA_URL = re.compile(r"data:(image/[a-z0-9.+-]+);base64,")
"""RFC 2397, with the two parts that are optional there."""


def images_in(request: Message) -> tuple[Image, ...]:
    """The pictures of a request's content, which `read_image` found right when it was accepted."""
    return tuple(read_image(url) for url in request.content.get("images", ()))


def read_image(url: str) -> Image:
    """The picture in a data URL; CaxtonError `body_invalid` where it is none."""
    if found := DATA_URL.match(url):
        try:
            return Image(media_type=found[1], data=b64decode(url[found.end() :], validate=True))
        except binascii.Error:
            pass
    raise CaxtonError(
        Code.BODY_INVALID,
        f"An image has to be a data URL, not {url[:40]!r}.",
        hint="Write data:image/png;base64, and then the file in base64. Addresses are not fetched.",
    )
