"""The few bytes that the service and its decoding processes say to each other: JSON and blobs, never pickle.

A decoding process handles what strangers send, so what comes back from it is parsed, not executed.
"""

import json
import struct
from collections.abc import Sequence
from typing import Any

PREFIX = struct.Struct("<II")
"""Length of the JSON head, number of blobs. The head's ``blobs`` give their lengths."""


def head(fields: dict[str, Any], blobs: Sequence[bytes | memoryview]) -> bytes:
    """Everything of a frame that goes before its blobs.

    >>> head({"a": 1}, [b"xyz"])[PREFIX.size :]
    b'{"a": 1, "blobs": [3]}'
    """
    text = json.dumps({**fields, "blobs": [len(blob) for blob in blobs]}).encode()
    return PREFIX.pack(len(text), len(blobs)) + text


def parse_head(text: bytes) -> tuple[dict[str, Any], list[int]]:
    """Fields and lengths of the blobs. Raises ValueError for anything else.

    >>> parse_head(b'{"a": 1, "blobs": [3]}')
    ({'a': 1}, [3])
    """
    fields = json.loads(text)
    if not isinstance(fields, dict) or not isinstance(lengths := fields.pop("blobs", None), list):
        raise ValueError("not the head of a frame")
    if any(type(length) is not int or length < 0 for length in lengths):
        raise ValueError("a blob's length is not a length")
    return fields, lengths
