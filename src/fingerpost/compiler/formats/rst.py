"""reStructuredText: the source is the document; adorned titles make the outline. No directive runs."""

from __future__ import annotations

import re
from collections.abc import Iterator

from fingerpost.compiler.decode import decode
from fingerpost.compiler.formats import Source
from fingerpost.compiler.outline import Mark, enclose, lines
from fingerpost.records import Document

_ADORNMENT = re.compile(r"([!-/:-@\[-`{-~])\1{1,199}[ \t]*$")
_ROLE = re.compile(r":[\w:+.-]{1,60}:`~?\.?([^`<]{1,200})(?:<[^`]{0,200}>)?`|(``?)([^`]{1,200})\2_{0,2}")


def parse(source: Source) -> Iterator[Document]:
    """One document; level 1 is the first style of adornment seen, and so on."""
    text, flags = decode(source.data, source.name, declared=True)
    text = text.replace("\r\n", "\n")
    marks = list(_marks(text))
    title = marks[0].title if marks else ""
    yield Document(
        "", text, title=title, media_type="text/x-rst", sections=enclose(marks, len(text)), flags=flags
    )


def _marks(text: str) -> Iterator[Mark]:
    styles: list[str] = []
    two: tuple[int, str] = (0, "")  # the line before the line before
    one: tuple[int, str] = (0, "")
    for at, line in lines(text):
        title = one[1].rstrip()
        if title and not _adorned(one[1]) and _adorned(line) and len(line.rstrip()) >= min(len(title), 4):
            over = _adorned(two[1]) and two[1].strip() == line.strip()
            if over or not one[1].startswith((" ", "\t")):
                style = line[0] + ("^" if over else "")
                if style not in styles:
                    styles.append(style)
                yield Mark(two[0] if over else one[0], plain(title), styles.index(style) + 1)
        two, one = one, (at, line)


def _adorned(line: str) -> bool:
    return len(line) < 250 and _ADORNMENT.match(line) is not None


def plain(title: str) -> str:
    """A title without roles and quotes.

    >>> plain(":mod:`json` --- JSON ``encoder``")
    'json --- JSON encoder'
    """
    return _ROLE.sub(lambda found: (found.group(1) or found.group(3) or "").strip(), title[:1000]).strip()
