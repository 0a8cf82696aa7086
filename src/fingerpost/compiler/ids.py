"""Document ids: the user's own, kept as they are where they are safe, refused where they are not."""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import unquote_to_bytes

from fingerpost.errors import InputError

MAX_BYTES = 512
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_OVERLONG = ((b"\xc0\xaf", b"/"), (b"\xc0\xae", b"."), (b"\xe0\x80\xaf", b"/"), (b"\xe0\x80\xae", b"."))


def valid(doc_id: str) -> str:
    """The id in NFC, so that two spellings of one name are one document.

    1 to 512 bytes of UTF-8, no control characters, no lone surrogates, not blank, not only dots, no ``..``
    between slashes, percent-encoded or not. Ids are data: they never become paths of the index.

    Raises InputError E_ID.

    >>> valid("guide/e\\u0301t\\u00e9.md")
    'guide/été.md'
    >>> valid("..%2fetc")
    Traceback (most recent call last):
    fingerpost.errors.InputError: E_ID: the id '..%2fetc' steps out with '..'
    """
    name = doc_id if doc_id.isascii() else unicodedata.normalize("NFC", doc_id[: 4 * MAX_BYTES])
    if _CONTROL.search(name):
        raise _bad(f"the id {name[:80]!a} holds control characters or lone surrogates")
    size = len(name.encode())
    if size > MAX_BYTES:
        raise _bad(f"the id '{name[:40]}…' has more than {MAX_BYTES} bytes")
    if not name.replace(".", "").strip():
        raise _bad(f"the id '{name}' is blank or only dots")
    if ".." in _decoded(name):
        raise _bad(f"the id '{name[:80]}' steps out with '..'")
    return name


def _decoded(name: str) -> list[str]:
    """Path segments as a careless reader would see them, percent signs decoded (twice: %252e)."""
    raw = name.encode()
    if b"%" in raw:
        raw = unquote_to_bytes(unquote_to_bytes(raw))
        for long, short in _OVERLONG:
            raw = raw.replace(long, short)
    return re.split(r"[/\\]", raw.decode("utf-8", "replace"))


def _bad(message: str) -> InputError:
    return InputError(
        "E_ID", message, cure="give the document an id of 1 to 512 bytes of printable UTF-8 without '..'"
    )
