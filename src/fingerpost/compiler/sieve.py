"""A coarse sieve before the rules: most texts hold nothing to mask, and RE2 sees that in one linear pass.

Each pattern matches wherever its rule may; what it lets through is then looked at closely (rules.py).
"""

from __future__ import annotations

from functools import cache
from typing import Any

import re2

COARSE: dict[str, bytes] = {
    "key": (
        rb"AKIA|ASIA|AROA|AIDA|gh[pousr]_|github_pat_|glpat-|xox[abeoprs]-|sk-|[sr]k_|AIza|hf_|npm_|pypi-"
        rb"|eyJ|PRIVATE KEY"
        rb"|(?i:(?:pass(?:word|wd|phrase)|pwd|key|secret|token|bearer)[\"']?[ \t]{0,3}[:=]|bearer )"
    ),
    "email": rb"[A-Za-z0-9._%+-]@[A-Za-z0-9]",
    "phone": (
        rb"\+[1-9][0-9 .(-]{4}|[2-9][0-9][0-9][).-][ .-]?[0-9]{3}[ .-][0-9]{4}"
        rb"|(?i:tel|phone|mobile|cell|fax|whatsapp)(?i: ?(?:no|number))?[.:]"
    ),
    "card": rb"[2-6][0-9]{3}(?:[ -]?[0-9]){9}",
    "iban": rb"[A-Z]{2}[0-9]{2} ?[A-Z0-9]{4} ?[A-Z0-9]{4}",
}
_CONTROLS = rb"[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xed[\xa0-\xbf]"


def may_hold(raw: bytes) -> list[str]:
    """The rules that may find something in a text, given as UTF-8.

    >>> may_hold(b"call +49 30 1234567"), may_hold(b"nothing")
    (['phone'], [])
    """
    if _compiled(b"|".join(COARSE.values())).search(raw) is None:
        return []
    return [rule for rule, pattern in COARSE.items() if _compiled(pattern).search(raw) is not None]


def may_hold_controls(raw: bytes) -> bool:
    """Whether UTF-8 holds control characters or surrogates.

    >>> may_hold_controls("é\\tb\\n".encode()), may_hold_controls("\\x85".encode())
    (False, True)
    """
    return _compiled(_CONTROLS).search(raw) is not None


@cache
def _compiled(pattern: bytes) -> Any:
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1  # bytes as they are
    return re2.compile(pattern, options)
