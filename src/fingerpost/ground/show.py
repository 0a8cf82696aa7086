"""Text of documents and models made safe to print: nothing in it can move a cursor, change colours or turn
lines around.
"""

from __future__ import annotations

import re

_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb\ud800-\udfff\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)


def visible(text: str, *, one_line: bool = False) -> str:
    r"""``text`` with control, bidirectional, zero-width and tag characters written as escapes.

    New lines and tabs stay, unless ``one_line`` asks for single blanks in place of all white space.

    >>> visible("red \x1b[31m and \u202eturned")
    'red \\x1b[31m and \\u202eturned'
    """
    safe = _UNSAFE.sub(_escape, text)
    return " ".join(safe.split()) if one_line else safe


def _escape(match: re.Match[str]) -> str:
    code = ord(match.group())
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
