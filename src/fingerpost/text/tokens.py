"""Words and codes: the one tokenizer behind the lexical index, the fresh tail, queries and features.

Two vocabularies. *Body terms* are runs of letters, digits and ``_``, folded, without English stop words,
stemmed; identifiers also give their parts (``getUserName`` → getusernam, get, user, name). *Codes* are the
things that are not plain words – ``ERR_CONN_RESET``, ``CVE-2024-3094``, ``foo.bar``, ``--flag``, ``1.2.3``
– kept whole.

Whatever a caller indexes as body text it feeds as ``" ".join(analyze(text))``: terms never hold white space.
Every distinct word is analysed once a process and then looked up, so that the cost of a text is one regular
expression and one dictionary look-up a word.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from functools import cache
from itertools import chain
from threading import Lock

import Stemmer

_ENGLISH = """
a an and are as at be but by for if in into is it no not of on or such that the their then there these they
this to was will with
"""
STOP_WORDS = frozenset(_ENGLISH.split())
"""The 33 words of Lucene's English analyzer."""

MAX_TERM_CHARS = 255
"""A longer run is cut into terms of this many characters, as Lucene's tokenizer does."""

_CACHED_WORDS = 200_000
_IGNORABLE = "\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff"
_IGNORED = re.compile(f"[{_IGNORABLE}]")
_OTHER_DIGIT = re.compile(r"(?![0-9])\d")
_ASCII_WORD = re.compile(r"[A-Za-z0-9_]{1,255}")
_BLANKED = re.sub(rb"[^A-Za-z0-9_]", b" ", bytes(range(256)))
"""Every byte that is none of a word is a blank."""
_UNSPACED = re.compile(
    "[\u0e00-\u0edf\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\U00020000-\U0003ffff]+"
)
_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_IDENTIFIER = re.compile(r"[A-Za-z0-9]_+[A-Za-z0-9]|[a-z][A-Z]|[A-Z]{2}[a-z]{2}")
_JOINED = re.compile(r"::|://|\\")
_CODE = re.compile(r"(?:--?|[./@$#])?\w+(?:(?:::|://|->|[._\-/\\:@+#~$])+\w+)*[+#]*")


def fold(text: str) -> str:
    """Text as terms see it: compatibility forms unified (NFKC), case folded, decimal digits of every script
    as 0–9, invisible formatting characters removed. Folding twice changes nothing more.

    >>> fold("Ｅ４０１２ ﬁle STRASSE straße ١٢")
    'e4012 file strasse strasse 12'
    """
    if text.isascii():
        return text.lower()
    before = None
    while before != text:
        before = text
        text = _IGNORED.sub("", unicodedata.normalize("NFKC", text).casefold())
        text = unicodedata.normalize("NFKC", _OTHER_DIGIT.sub(_digit, text))
    return text


def analyze(text: str) -> list[str]:
    """The body terms of ``text``, in order, repeated as often as they occur.

    >>> analyze("The signing keys of getUserName and ERR_CONN_RESET")
    ['sign', 'key', 'getusernam', 'get', 'user', 'name', 'err_conn_reset', 'err', 'conn', 'reset']
    """
    return list(chain.from_iterable(map(_BODY.__getitem__, _written(text))))


def words(text: str) -> set[str]:
    """The distinct words of ``text`` as they are written there."""
    return set(_written(text))


def terms(written: Iterable[str]) -> set[str]:
    """The body terms of some words.

    >>> sorted(terms(words("Keys, a key and getUserName")))
    ['get', 'getusernam', 'key', 'name', 'user']
    """
    return set(chain.from_iterable(map(_BODY.__getitem__, written)))


def spelled(written: Iterable[str], wanted: AbstractSet[str]) -> dict[str, str]:
    """The ``wanted`` body terms of some words, each with the shortest plain word that it stands for there,
    for people to read; itself where no word is it alone.

    >>> sorted(spelled(words("Keys, a key and getUserName"), {"key", "user", "getusernam"}).items())
    [('getusernam', 'getusername'), ('key', 'key'), ('user', 'user')]
    """
    found: dict[str, list[str]] = {}
    for word in written:
        if wanted.isdisjoint(_BODY[word]):
            continue
        for at, term in enumerate(_BODY[word]):
            if term in wanted:
                found.setdefault(term, []).append(word.lower() if not at and word.isascii() else term)
    return {term: min(plain, key=lambda word: (len(word), word)) for term, plain in found.items()}


def places(text: str, wanted: AbstractSet[str]) -> list[tuple[int, int]]:
    """Character offsets of the words of ``text`` that have a wanted body term, in order; where words are not
    set apart by spaces, of the wanted pairs of characters.

    >>> places("Rotate the keys, then rotate again", {"rotat"}), places("更换密钥", {"密钥"})
    ([(0, 6), (22, 28)], [(2, 4)])
    """
    found = _word_pattern(text).finditer(text)
    matched = (match for match in found if not wanted.isdisjoint(_BODY[match.group()]))
    return [place for match in matched for place in _inside(match, wanted)]


def _inside(word: re.Match[str], wanted: AbstractSet[str]) -> list[tuple[int, int]]:
    """Where in a word the wanted terms stand: all of it, or pieces of one that is written without spaces."""
    text, start = word.group(), word.start()
    if text.isascii() or not _UNSPACED.search(text):
        return [word.span()]
    pieces: list[tuple[int, int]] = []
    last = 0
    for run in _UNSPACED.finditer(text):
        pairs = max(1, len(run.group()) - 1)
        pieces += [
            (last, run.start()),
            *((at, min(at + 2, run.end())) for at in range(run.start(), run.start() + pairs)),
        ]
        last = run.end()
    held = [(a, b) for a, b in (*pieces, (last, len(text))) if not wanted.isdisjoint(_BODY[text[a:b]])]
    return [(start + a, start + b) for a, b in held] or [word.span()]


def codes(text: str) -> list[str]:
    """The code terms of ``text``, folded, in order, repeated as often as they occur.

    >>> codes("Why does foo.bar() say ERR_CONN_RESET, and/or e.g. E4012 under --dry-run since v1.2.3?")
    ['foo.bar', 'err_conn_reset', 'e4012', '--dry-run', 'v1.2.3']
    """
    return [code for found in _CODE.findall(text) if (code := _CODES[found])]


class _Body(dict[str, tuple[str, ...]]):
    """Word as written → its terms. Filled on demand; emptied when full, so that no input can make it grow
    on.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._stemmer = Stemmer.Stemmer("english", 0)

    def __missing__(self, word: str) -> tuple[str, ...]:
        with self._lock:  # a stemmer must not be entered twice at once
            terms = tuple(self._terms(word))
            if len(word) <= MAX_TERM_CHARS:
                if len(self) >= _CACHED_WORDS:
                    self.clear()
                self[word] = terms
        return terms

    def _terms(self, word: str) -> Iterator[str]:
        folded = fold(word)
        for whole in [folded] if folded.isascii() and folded.isalnum() else _wholes(folded):
            if whole not in STOP_WORDS:
                yield self._stemmer.stemWord(whole)
        if _IDENTIFIER.search(word):
            for part in map(str.lower, _PART.findall(word)):
                if len(part) > 1 and part not in STOP_WORDS:
                    yield self._stemmer.stemWord(part)


class _Codes(dict[str, str]):
    """Run of word characters and connectors as written → the code it is, or an empty string."""

    def __missing__(self, run: str) -> str:
        code = fold(run)[:MAX_TERM_CHARS] if _is_code(run) else ""
        if len(run) <= MAX_TERM_CHARS:
            if len(self) >= _CACHED_WORDS:
                self.clear()
            self[run] = code
        return code


def _is_code(run: str) -> bool:
    """Whether a run is not a plain word, a hyphenated or slashed pair of words, a number or an
    abbreviation.
    """
    if run.isalpha():
        return _IDENTIFIER.search(run) is not None
    if run.isdecimal():
        return False
    if (
        run.startswith(("--", "/", "@", "$"))
        or "_" in run.strip("_")
        or "::" in run
        or "://" in run
        or "\\" in run
    ):
        return len(run) > 2
    if any(map(str.isdigit, run)):
        return True
    parts = re.split(r"[^\w]+", run.strip("-./#+"))
    if "." in run.strip("."):
        return any(len(part) > 1 for part in parts[1:])
    if run[-1] in "+#" or run.count("/") > 1:
        return True
    return len(parts) > 1 and all(part.isupper() and len(part) > 1 for part in parts)


def _wholes(folded: str) -> Iterator[str]:
    """Words inside a folded run: compatibility folding may have put punctuation in (½ → 1⁄2), and scripts
    that are written without spaces become overlapping pairs of characters.
    """
    for run in _word_pattern(folded).findall(folded):
        at = 0
        for match in _UNSPACED.finditer(run):
            yield from _cut(run[at : match.start()])
            piece, at = match.group(), match.end()
            yield from (piece[i : i + 2] for i in range(max(1, len(piece) - 1)))
        yield from _cut(run[at:])


def _cut(run: str) -> Iterator[str]:
    return (run[at : at + MAX_TERM_CHARS] for at in range(0, len(run), MAX_TERM_CHARS))


def _written(text: str) -> list[str]:
    """The words of ``text`` in order, as they are written. Most texts are ASCII: to split those takes less
    than the pattern does.
    """
    if text.isascii():
        found = text.encode().translate(_BLANKED).decode().split()
        if not found or max(map(len, found)) <= MAX_TERM_CHARS:
            return found
    return _word_pattern(text).findall(text)


def _word_pattern(text: str) -> re.Pattern[str]:
    return _ASCII_WORD if text.isascii() else _joined_word()


@cache
def _joined_word() -> re.Pattern[str]:
    """Words with combining marks and invisible characters inside, so that NFC and NFD give one term.

    Marks of the basic plane only: with larger ones the character class is no table, and ten times as slow.
    """
    marks = "".join(chr(c) for c in range(0x300, 0x10000) if unicodedata.category(chr(c)) in ("Mn", "Mc"))
    return re.compile(rf"\w{{1,255}}(?:[{marks}{_IGNORABLE}]+\w{{0,255}})*")


def _digit(found: re.Match[str]) -> str:
    return str(unicodedata.decimal(found.group()))


_BODY = _Body()
_CODES = _Codes()
