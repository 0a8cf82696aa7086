"""What is masked: five families of rules, each with a check that keeps ordinary text out of its reach.

Every pattern is linear: quantifiers are bounded or start at a literal, and no match begins inside a word.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from math import log2
from typing import NamedTuple

VERSION = 1


class Finding(NamedTuple):
    """A stretch to mask; ``value`` is its spelling-independent form, which the pseudonym is made of."""

    start: int
    end: int
    rule: str
    value: str


_KEYS = re.compile(
    r"(?<![A-Za-z0-9_-])(?:"
    r"(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{16}"
    r"|gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{50,255}|glpat-[A-Za-z0-9_-]{20,64}"
    r"|xox[abeoprs]-[A-Za-z0-9-]{10,250}"
    r"|sk-(?:proj-|ant-|svcacct-|live-|or-)?[A-Za-z0-9_-]{20,250}|[sr]k_(?:live|test)_[A-Za-z0-9]{16,128}"
    r"|AIza[A-Za-z0-9_-]{35}|hf_[A-Za-z0-9]{30,64}|npm_[A-Za-z0-9]{36}|pypi-[A-Za-z0-9_-]{50,255}"
    r"|eyJ[A-Za-z0-9_-]{8,4096}\.eyJ[A-Za-z0-9_-]{8,8192}\.[A-Za-z0-9_-]{8,2048}"
    r")(?![A-Za-z0-9_])"
)
_PEM = re.compile(r"-----BEGIN (?:[A-Z]{2,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----")
_PEM_END = re.compile(r"-----END (?:[A-Z]{2,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----")
_ASSIGNED = re.compile(
    r"(?ai)(?<![a-z0-9])(?:pass(?:word|wd|phrase)|pwd|(?:client|app|api|auth|access|secret|private|signing|encryption)"
    r"[_ -]?(?:key|secret|token)|secret|token|bearer)[\"']?[ \t]{0,3}(?::=|=>|[:=]|(?<=bearer))[ \t]{0,3}"
    r"(?P<quote>[\"'`]?)(?P<value>[A-Za-z0-9+/=_.~!@#$%^&*?-]{8,256})"
)
_EMAIL = re.compile(
    r"(?<![A-Za-z0-9._%+/=-])[A-Za-z0-9][A-Za-z0-9._%+-]{0,63}@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.){1,8}"
    r"[A-Za-z]{2,24}(?![A-Za-z0-9-]|\.[A-Za-z0-9])"
)
_PHONE = re.compile(
    r"(?a)(?<![\w.+/=#@$-])(?:"
    r"\+[1-9]\d{0,2}(?:[ .-]?\(\d{1,4}\))?(?:[ .-]?\d{2,4}){2,5}"
    r"|(?:1[ .-])?\([2-9]\d\d\)[ .-]?\d{3}[ .-]\d{4}"
    r"|(?:1-)?[2-9]\d\d-\d{3}-\d{4}|(?:1\.)?[2-9]\d\d\.\d{3}\.\d{4}"
    r")(?![\w/=-]|\.\d|,\d)"
)
_CUED_PHONE = re.compile(
    r"(?ai)(?<![a-z])(?:tel|telephone|phone|mobile|cell|fax|whatsapp)(?: ?(?:no|number))?[.:]{1,2}[ \t]{0,3}"
    r"(?P<value>\(?0?\d[\d() ./-]{5,18}\d)(?![\w/-])"
)
_CARD = re.compile(r"(?a)(?<![\w.+/-])[2-6]\d{3}(?:[ -]?\d){9,15}(?![\w/-]|\.\d)")
_IBAN = re.compile(
    r"(?a)(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?![A-Za-z0-9])"
)
_BRANDS = re.compile(
    r"4\d{12}(?:\d{3}(?:\d{3})?)?|5[1-5]\d{14}|2(?:2[2-9]|[3-6]\d|7[01]|720)\d{12,13}|3[47]\d{13}"
    r"|6(?:011|5\d\d|4[4-9]\d)\d{12}|35(?:2[89]|[3-8]\d)\d{12}|3(?:0[0-5]|[68]\d)\d{11}|62\d{14,17}"
)
_COUNTRIES = """
AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DK18 DO28 EE20 EG29 ES24
FI18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32
LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MR27 MT31 MU30 NL18 NO15 PK24 PL28 PS29 PT25 QA29 RO24 RS22
SA24 SC31 SE24 SI19 SK24 SM27 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20
"""
_IBAN_LENGTHS = {entry[:2]: int(entry[2:]) for entry in _COUNTRIES.split()}
_EXAMPLE_HOSTS = ("example.com", "example.org", "example.net", "example.edu")
_FILES = (
    ".png",
    ".jpg",
    ".jpeg",
    ".gif",
    ".svg",
    ".webp",
    ".py",
    ".js",
    ".ts",
    ".css",
    ".html",
    ".json",
    ".so",
)
_PLACEHOLDER = re.compile(
    r"(?i)x{4,}|\*{3,}|\.{3,}|your|example|placeholder|changeme|redacted|dummy|<|\$\{|%\(|{{"
)
_IDENTIFIER = re.compile(r"[A-Za-z_$][\w$]*(?:[.-]+[A-Za-z_$][\w$]*)*[.,;]?")


def keys(text: str) -> Iterator[Finding]:
    """Cloud and service keys, JSON Web Tokens, private keys, secrets assigned to a telling name."""
    for match in _KEYS.finditer(text):
        if _has_digits_and_letters(match.group()[4:]) and entropy(match.group()) > 2.5:
            yield Finding(*match.span(), "key", match.group())
    for match in _PEM.finditer(text):
        end = _PEM_END.search(text, match.end(), match.end() + 20_000)
        stop = end.end() if end else min(match.end() + 4_000, len(text))
        yield Finding(match.start(), stop, "key", text[match.start() : stop])
    for match in _ASSIGNED.finditer(text):
        value = match.group("value").rstrip(".,;")
        if is_secret(value, quoted=bool(match.group("quote"))):
            yield Finding(match.start("value"), match.start("value") + len(value), "key", value)


def is_secret(value: str, *, quoted: bool) -> bool:
    """Whether an assigned value looks random: letters and digits well mixed, no name, no placeholder.

    >>> is_secret("hT7p!x9Qz2Lm", quoted=True), is_secret("token_type_ids", quoted=False)
    (True, False)
    """
    if len(value) < 8 or _PLACEHOLDER.search(value) or not _has_digits_and_letters(value):
        return False
    changes = sum(a.isdigit() != b.isdigit() for a, b in pairwise(value))
    if _IDENTIFIER.fullmatch(value) and changes < (2 if quoted else 3):
        return False
    return entropy(value) >= (2.75 if quoted else 3.0) and changes >= 2


def emails(text: str) -> Iterator[Finding]:
    """Addresses; those of documentation (example.com) and of git remotes stay."""
    if "@" not in text:
        return
    for match in _EMAIL.finditer(text):
        found = match.group()
        host = found.rpartition("@")[2].lower()
        remote = found.startswith("git@") or (
            text[match.end() : match.end() + 1] == ":" and found.startswith("git")
        )
        if not (host.endswith((*_EXAMPLE_HOSTS, *_FILES)) or remote):
            yield Finding(*match.span(), "email", found.lower())


def phones(text: str) -> Iterator[Finding]:
    """International and North American numbers, and any number after ``Tel:`` and the like."""
    for pattern in (_PHONE, _CUED_PHONE):
        for match in pattern.finditer(text):
            group = "value" if pattern is _CUED_PHONE else 0
            found = match.group(group)
            digits = "".join(character for character in found if character.isdigit())
            least = 8 if any(mark in found for mark in " .-(") else 11
            if (7 if group else least) <= len(digits) <= 15:
                yield Finding(*match.span(group), "phone", digits)


def cards(text: str) -> Iterator[Finding]:
    """Payment card numbers: a brand's prefix and length, evenly grouped, and the Luhn check."""
    for match in _CARD.finditer(text):
        digits = match.group().replace(" ", "").replace("-", "")
        if _BRANDS.fullmatch(digits) and luhn(digits) and len(set(digits)) > 1 and _grouped(match.group()):
            yield Finding(*match.span(), "card", digits)


def _grouped(found: str) -> bool:
    """4-4-4-4, 4-6-5, or no gaps at all; sums and tables are spaced otherwise."""
    groups = [len(group) for group in re.split("[ -]", found)]
    return (
        len(groups) == 1 or groups in ([4, 6, 5], [4, 6, 4]) or (set(groups[:-1]) == {4} and groups[-1] <= 4)
    )


def ibans(text: str) -> Iterator[Finding]:
    """International bank account numbers: a country's length, and modulo 97."""
    for match in _IBAN.finditer(text):
        bare = match.group().replace(" ", "")
        length = _IBAN_LENGTHS.get(bare[:2], 0)
        if length and len(bare) >= length and mod97(bare[:length]):
            end = match.start()
            for _ in range(length):
                end += 1 + (text[end] == " ")
            yield Finding(match.start(), end, "iban", bare[:length])


def luhn(digits: str) -> bool:
    """The check digit of card numbers (ISO/IEC 7812-1).

    >>> luhn("4111111111111111"), luhn("4111111111111112")
    (True, False)
    """
    doubled = [int(d) * (2 if at % 2 else 1) for at, d in enumerate(reversed(digits))]
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0


def mod97(iban: str) -> bool:
    """The check of account numbers (ISO 13616).

    >>> mod97("DE89370400440532013000")
    True
    """
    return int("".join(str(int(character, 36)) for character in iban[4:] + iban[:4])) % 97 == 1


def entropy(value: str) -> float:
    """Shannon entropy in bits a character.

    >>> entropy("aaaa"), entropy("abcd")
    (0.0, 2.0)
    """
    shares = [value.count(character) / len(value) for character in set(value)]
    return -sum(share * log2(share) for share in shares) + 0.0


def _has_digits_and_letters(value: str) -> bool:
    return any(map(str.isdigit, value)) and any(map(str.isalpha, value))


RULES: dict[str, Callable[[str], Iterator[Finding]]] = {
    "key": keys,
    "email": emails,
    "phone": phones,
    "card": cards,
    "iban": ibans,
}
