"""How is a body read so that no sender can fill the memory?"""

import zlib
from collections.abc import Mapping

from starlette.types import Receive

from aftersale.api.answers import Problem

_GZIP = zlib.MAX_WBITS | 16


class Gone(Exception):
    """The sender hung up before it had sent everything."""


async def read_body(receive: Receive, headers: Mapping[bytes, bytes], most: int) -> bytes:
    """The body, unpacked where it is packed; a problem where it has more than `most` bytes.

    A sender that says so itself is refused before anything is read.
    """
    length = headers.get(b"content-length", b"")
    if length.isdigit() and int(length[:20]) > most:
        raise too_large(most)
    packed = headers.get(b"content-encoding", b"identity").strip().lower()
    if packed not in {b"identity", b"gzip", b"x-gzip", b""}:
        raise Problem(
            415,
            "unknown-encoding",
            "the body is packed in a way that is not known here",
            hint="send it as it is, or with gzip",
            headers=[(b"accept-encoding", b"gzip, identity")],
        )
    body = await _read(receive, most)
    return unpacked(body, most) if packed in {b"gzip", b"x-gzip"} else body


async def _read(receive: Receive, most: int) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > most:
            raise too_large(most)
        chunks.append(chunk)
        if not message.get("more_body"):
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def unpacked(body: bytes, most: int) -> bytes:
    """What gzip holds; never more than `most` bytes of it are made."""
    reader = zlib.decompressobj(_GZIP)
    try:
        found = reader.decompress(body, most + 1)
    except zlib.error as error:
        raise Problem(400, "malformed", f"the body is no gzip: {error}") from None
    if len(found) > most:
        raise too_large(most)
    if not reader.eof or reader.unused_data:
        raise Problem(400, "malformed", "the gzip of the body is cut off, or something follows it")
    return found


def too_large(most: int) -> Problem:
    """What is said of a body beyond the limit."""
    return Problem(
        413,
        "too-large",
        f"the body has more than {most:,} bytes",
        hint="send fewer events at once",
        headers=[(b"connection", b"close")],
    )
