"""Training questions made of a document's own words, each with the chunks as they read without those words.

A sentence finds the chunk that it stands in, whatever the ranking: it teaches to trust equal words. So what a
question was made of is taken out of the chunks it answers (Lee et al. 2019, arXiv:1906.00300, the inverse
cloze task). Kinds, by the part of the document that they are made of:

    sentence   a sentence of at least four words
    crop       4 to 10 neighbouring words of a sentence; the whole sentence is taken out
    docstring  the first line of a function's docstring
    title      the document's title, taken out of the context of all its chunks
    heading    a heading with its title, taken out of the context of the chunks beneath it
    faq        a line that ends in a question mark
    words      3 to 6 words of a chunk, which stay: some people ask in the words of the page before them
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fingerpost.compiler.pairs import DOCSTRING, MAX_CHARACTERS
from fingerpost.records import Chunk
from fingerpost.text.spans import sentences
from fingerpost.text.tokens import analyze

KINDS = ("sentence", "crop", "docstring", "title", "heading", "faq", "words")
SHORTEST, LONGEST = 4, 10
"""Words of a crop."""
FEWEST, MOST_WORDS = 3, 6
"""Words that are asked for as they stand."""
LEAST_LEFT = 5
"""Terms that a chunk must still hold without the question's words."""
MOST_CHUNKS = 8
"""Documents of more chunks give no titles: so many would have to be encoded anew for one question."""
_WORD = re.compile(r"\w+(?:[-'’.]\w+)*")
_QUESTION = re.compile(r"^[ \t#*_>-]*(?:Q:)?[ \t]*([^\n]{8,300}\?)[ \t]*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Made:
    """A question, and by place among the document's chunks those that read otherwise without it."""

    query: str
    kind: str
    without: Mapping[int, Chunk]


def questions(chunks: Sequence[Chunk], rng: np.random.Generator) -> list[Made]:
    """At most one question of each kind from the chunks of one document; where there are several to choose
    from, ``rng`` draws.

    >>> text = "Hold the reset button for ten seconds. Then the green lamp of the router lights up."
    >>> made = questions([Chunk("c", "d", 0, 0, len(text), text)], np.random.default_rng(0))[0]
    >>> made.kind, made.query, made.without[0].text
    ('sentence', 'Hold the reset button for ten seconds.', 'Then the green lamp of the router lights up.')
    """
    makers = (_sentences, _crops, _docstrings, _titles, _headings, _faq, _words)
    found = ([made for made in maker(chunks, rng) if _usable(made)] for maker in makers)
    return [made[int(rng.integers(len(made)))] for made in found if made]


def _usable(made: Made) -> bool:
    left = all(len(analyze(chunk.passage)) >= LEAST_LEFT for chunk in made.without.values())
    return left and len(set(analyze(made.query))) >= 2 and len(made.query) <= MAX_CHARACTERS


def _sentences(chunks: Sequence[Chunk], rng: np.random.Generator) -> Iterator[Made]:
    drawn = _drawn(chunks, rng)
    if drawn is not None:
        at, _, (start, end) = drawn
        yield Made(
            " ".join(chunks[at].text[start:end].split()), "sentence", {at: _cut(chunks[at], start, end)}
        )


def _crops(chunks: Sequence[Chunk], rng: np.random.Generator) -> Iterator[Made]:
    """The whole sentence is taken out where enough is left then, else only the crop."""
    drawn = _drawn(chunks, rng)
    if drawn is not None:
        at, words, (start, end) = drawn
        count = min(int(rng.integers(SHORTEST, LONGEST + 1)), len(words))
        first = int(rng.integers(len(words) - count + 1))
        begin, stop = words[first].start(), words[first + count - 1].end()
        query, whole = chunks[at].text[begin:stop], _cut(chunks[at], start, end)
        rest = whole if len(analyze(whole.text)) >= LEAST_LEFT else _cut(chunks[at], begin, stop)
        yield Made(" ".join(query.split()), "crop", {at: rest})


def _drawn(
    chunks: Sequence[Chunk], rng: np.random.Generator
) -> tuple[int, list[re.Match[str]], tuple[int, int]] | None:
    """A sentence of SHORTEST words or more from one of the chunks: the chunk's place, the words, the span."""
    at = int(rng.integers(len(chunks))) if chunks else 0
    for start, end in rng.permutation(sentences(chunks[at].text)).tolist() if chunks else ():
        words = list(_WORD.finditer(chunks[at].text, start, end))
        if len(words) >= SHORTEST:
            return at, words, (start, end)
    return None


def _docstrings(chunks: Sequence[Chunk], _: np.random.Generator) -> Iterator[Made]:
    for at, chunk in enumerate(chunks):
        for found in DOCSTRING.finditer(chunk.text):
            yield Made(" ".join(found.group(1).split()), "docstring", {at: _cut(chunk, *found.span(1))})


def _titles(chunks: Sequence[Chunk], _: np.random.Generator) -> Iterator[Made]:
    if chunks and chunks[0].title and len(chunks) <= MOST_CHUNKS:
        title = chunks[0].title
        yield Made(" ".join(title.split()), "title", {at: _unnamed(c, title) for at, c in enumerate(chunks)})


def _headings(chunks: Sequence[Chunk], _: np.random.Generator) -> Iterator[Made]:
    for path in dict.fromkeys(chunk.heading for chunk in chunks if chunk.heading):
        beneath = {
            at: _unnamed(chunk, path[-1])
            for at, chunk in enumerate(chunks)
            if chunk.heading[: len(path)] == path
        }
        if len(beneath) <= MOST_CHUNKS:
            words = f"{chunks[0].title} {path[-1]}" if path[-1] != chunks[0].title else path[-1]
            yield Made(" ".join(words.split()), "heading", beneath)


def _unnamed(chunk: Chunk, name: str) -> Chunk:
    """The chunk without a title or heading: in its context, and where it heads the text itself."""
    place = chunk.text.find(name, 0, len(name) + 20)
    text = chunk.text if place < 0 else f"{chunk.text[:place]}{chunk.text[place + len(name) :]}".strip()
    title = "" if chunk.title == name else chunk.title
    return replace(chunk, title=title, heading=tuple(h for h in chunk.heading if h != name), text=text)


def _faq(chunks: Sequence[Chunk], _: np.random.Generator) -> Iterator[Made]:
    for at, chunk in enumerate(chunks):
        for found in _QUESTION.finditer(chunk.text):
            yield Made(" ".join(found.group(1).split()), "faq", {at: _cut(chunk, *found.span(1))})


def _words(chunks: Sequence[Chunk], rng: np.random.Generator) -> Iterator[Made]:
    chunk = chunks[int(rng.integers(len(chunks)))] if chunks else None
    held = [word for word in _WORD.findall(chunk.text) if analyze(word)] if chunk else []
    count = int(rng.integers(FEWEST, MOST_WORDS + 1))
    if len(held) >= 2 * MOST_WORDS:
        chosen = np.sort(rng.choice(len(held), count, replace=False)).tolist()
        yield Made(" ".join(held[at] for at in chosen), "words", {})


def _cut(chunk: Chunk, start: int, end: int) -> Chunk:
    """The chunk without a stretch of its text."""
    return replace(chunk, text=f"{chunk.text[:start].rstrip()} {chunk.text[end:].lstrip()}".strip())
