"""Bytes to text, without ever storing mojibake: a known encoding, or a reason why not."""

from __future__ import annotations

import codecs
import re

from fingerpost.errors import InputError

SAFE = frozenset(
    [f"iso8859-{n}" for n in range(1, 17) if n != 12]
    + [f"cp{n}" for n in (1250, 1251, 1252, 1253, 1254, 1255, 1256, 1257, 1258, 437, 850, 866, 932, 949)]
    + [
        "ascii",
        "utf-8",
        "utf-16",
        "utf-16-le",
        "utf-16-be",
        "koi8-r",
        "koi8-u",
        "mac-roman",
        "shift_jis",
        "euc_jp",
    ]
    + ["iso2022_jp", "gbk", "gb2312", "gb18030", "big5", "euc_kr", "tis-620"]
)
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_DECLARED = (
    re.compile(rb"(?m)^[ \t\f]*#[^\n]{0,80}?coding[:=][ \t]*([-\w.]+)"),
    re.compile(rb"(?i)<meta[^>]{0,200}charset=[\"' ]*([-\w.]+)"),
    re.compile(rb"(?i)<\?xml[^>]{0,200}encoding=[\"']([-\w.]+)"),
)


def decode(data: bytes, name: str, *, declared: bool = False) -> tuple[str, tuple[str, ...]]:
    """Text and flags. UTF-8, any Unicode with a byte order mark, UTF-16 without one where it is evident, and
    (``declared``) what the document says of itself, from a safe list.

    A few damaged bytes in UTF-8 (at most one in a thousand) become U+FFFD, with the flag
    ``replaced_bytes:n``. Raises InputError E_ENCODING otherwise.

    >>> decode("é".encode("utf-8-sig"), "a.txt")
    ('é', ())
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return _strict(data[len(mark) :], encoding, name), ()
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        return _other(data, name, declared, error)
    if _evident_utf16(data):
        return _strict(data, _evident_utf16(data), name), ()
    if declared:
        _said(data, name)  # a declared unsafe encoding is refused even where the bytes are ASCII
    return text, ()


def _other(data: bytes, name: str, declared: bool, error: UnicodeDecodeError) -> tuple[str, tuple[str, ...]]:
    said = _evident_utf16(data) or (_said(data, name) if declared else "")
    if said and said != "utf-8":
        return _strict(data, said, name), ()
    text = data.decode(errors="replace")
    bad = text.count("\ufffd")
    if bad * 1000 <= len(text):
        return text, (f"replaced_bytes:{bad}",)
    raise InputError(
        "E_ENCODING",
        f"{name} is not UTF-8 (byte {error.start} is 0x{data[error.start]:02x}) and does not say what it is",
        cure=f"convert it: iconv -f ISO-8859-1 -t UTF-8 {name!r} (with its real encoding)",
    ) from error


def _strict(data: bytes, encoding: str, name: str) -> str:
    try:
        return data.decode(encoding)
    except (UnicodeDecodeError, LookupError) as error:
        raise InputError(
            "E_ENCODING", f"{name} is not valid {encoding}: {error}", cure="convert the file to UTF-8"
        ) from error


def _said(data: bytes, name: str) -> str:
    """The encoding that the document declares in its first 1,024 bytes."""
    for pattern in _DECLARED:
        if found := pattern.search(data[:1024]):
            label = found.group(1).decode("ascii", "replace")
            try:
                encoding = codecs.lookup(label).name
            except LookupError:
                encoding = label
            if encoding in SAFE:
                return "cp1252" if encoding == "iso8859-1" else encoding
            raise InputError(
                "E_ENCODING",
                f"{name} declares the encoding '{label[:40]}', which is not read",
                cure="convert it to UTF-8",
            )
    return ""


def _evident_utf16(data: bytes) -> str:
    head = data[:4096]
    half = len(head) // 2
    even, odd = head[0::2].count(0), head[1::2].count(0)
    if half >= 2 and odd > 0.7 * half and even < 0.05 * half:
        return "utf-16-le"
    return "utf-16-be" if half >= 2 and even > 0.7 * half and odd < 0.05 * half else ""
