"""Markdown: the source is the document (nothing is rendered or fetched); headings make the outline."""

from __future__ import annotations

import re
from collections.abc import Iterator

from fingerpost.compiler.decode import decode
from fingerpost.compiler.formats import MAX_COLUMNS, Source
from fingerpost.compiler.outline import Mark, enclose, lines
from fingerpost.errors import InputError
from fingerpost.records import Document, Section, Value

_ATX = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*))?$", re.DOTALL)
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_SETEXT = re.compile(r" {0,3}(?:=+|-+)[ \t]*$")
_LINK = re.compile(r"(?<!!)\[([^\[\]\n]{1,200})\]\(<?([^\s()<>]{1,500})>?(?:[ \t]+\"[^\"\n]{0,200}\")?\)")
_HIDDEN = re.compile(r"<!--(?!\s*(?:markdownlint|prettier|toc|/?[\w-]+\s*-->))")
_FRONT = re.compile(r"---[ \t]*\n")
_KEY = re.compile(r"([A-Za-z_][\w-]{0,63}):[ \t]*(.{0,1000})$")
_STRIP = re.compile(r"[*`]+|\[([^\]]{0,200})\]\([^)]{0,500}\)|\{#[^}]{0,100}\}")
MAX_LINKS = 500


def parse(source: Source) -> Iterator[Document]:
    """One document. Front matter becomes metadata (scalar ``key: value`` lines only) and leaves the text."""
    text, flags = decode(source.data, source.name)
    text = text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text
    skipped, metadata = _front_matter(text)
    body = text[skipped:]
    marks = list(_marks(body, source.name))
    title = str(metadata.pop("title", "")) or next((m.title for m in marks if m.level == 1), "")
    if _HIDDEN.search(body):
        flags = (*flags, "hidden_text")
    yield Document(
        "",
        body,
        title=title,
        metadata=metadata,
        media_type="text/markdown",
        sections=enclose(marks, len(body)) + links(body),
        source_map=((0, skipped),) if skipped else (),
        flags=flags,
    )


def _marks(text: str, name: str) -> Iterator[Mark]:
    fence = ""
    before = (0, "")
    for at, line in lines(text):
        if fence:
            if line.lstrip(" ").startswith(fence) and not line.strip(" \t" + fence[0]):
                fence = ""
            before = (at, "")
        elif found := _FENCE.match(line):
            fence, before = found.group(1), (at, "")
        elif (atx := _ATX.match(line)) is not None:
            title = plain((atx.group(2) or "").rstrip().rstrip("#"))
            yield Mark(at, title, len(atx.group(1)))
            before = (at, "")
        elif (
            before[1].strip()
            and _SETEXT.match(line)
            and not before[1].startswith(("    ", "\t", ">", "-", "|"))
        ):
            yield Mark(before[0], plain(before[1]), 1 if "=" in line else 2)
            before = (at, "")
        else:
            _check_columns(line, name)
            before = (at, line if len(line) < 500 else "")


def _check_columns(line: str, name: str) -> None:
    if len(line) > MAX_COLUMNS and line.count("|") > MAX_COLUMNS:
        raise InputError(
            "E_TOO_MANY",
            f"{name} has a table of {line.count('|')} columns (at most {MAX_COLUMNS})",
            cure="split the table",
        )


def plain(title: str) -> str:
    """A heading's words without its markup.

    >>> plain("The `run` [command](cli.md)")
    'The run command'
    """
    return _STRIP.sub(lambda found: found.group(1) or "", title[:1000]).strip()


def links(text: str) -> tuple[Section, ...]:
    """Inline links as sections of kind ``link``: the anchor's place, the target as title."""
    found: list[Section] = []
    for match in _LINK.finditer(text):
        found.append(Section(match.start(1), match.end(1), match.group(2), 99, "link"))
        if len(found) == MAX_LINKS:
            break
    return tuple(found)


def _front_matter(text: str) -> tuple[int, dict[str, Value]]:
    """How many characters the front matter takes, and its scalar keys. No YAML loader is ever run."""
    if not _FRONT.match(text):
        return 0, {}
    stop = text.find("\n---", 3, 20_000)
    after = text.find("\n", stop + 1)
    if stop < 0 or text[stop + 4 : after if after > 0 else None].strip():
        return 0, {}
    metadata: dict[str, Value] = {}
    for line in text[4:stop].split("\n"):
        if (pair := _KEY.match(line)) and pair.group(2).strip() and pair.group(2)[0] not in "&*!|>{[":
            metadata[pair.group(1)] = pair.group(2).strip().strip("\"'")
    return (after + 1 if after > 0 else len(text)), metadata
