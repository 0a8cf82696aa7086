"""Training pairs from what a document says of itself."""

from __future__ import annotations

from dataclasses import replace

from fingerpost.compiler import chunk, pairs
from fingerpost.compiler.formats import Source, parse
from fingerpost.records import Document, Pair


def made(name: str, text: str, known: set[str] | None = None) -> list[Pair]:
    (item,) = parse(Source(text.encode(), name))
    assert isinstance(item, Document)
    document = replace(item, doc_id=f"guide/{name}")
    return pairs.from_document(document, chunk.split(document), known=known)


def origins(found: list[Pair]) -> dict[str, list[str]]:
    kinds: dict[str, list[str]] = {}
    for pair in found:
        kinds.setdefault(pair.origin, []).append(pair.query)
    return kinds


def test_markdown_gives_titles_headings_questions_and_anchors() -> None:
    long = "Every word of this paragraph is here to make it long enough to stand alone. " * 8
    text = f"# Rotate the key\n{long}\n## On Linux\n{long}\n\n### How do I undo it?\n{long}"
    text += " See [signing keys](keys.md#a)."
    found = origins(made("a.md", text, known={"guide/keys.md"}))
    assert found["title"] == ["Rotate the key"]
    assert "Rotate the key On Linux" in found["heading"]
    assert found["faq"] == ["How do I undo it?"]
    assert found["anchor"] == ["signing keys"]


def test_links_to_nowhere_give_no_pair() -> None:
    assert "anchor" not in origins(made("a.md", "# A b\nSee [signing keys](gone.md).", known=set()))


def test_code_gives_docstrings_for_the_chunk_of_their_symbol() -> None:
    code = 'def wait(self):\n    """Wait until the queue is empty."""\n    x\n\n'
    code += 'class A:\n    """\n    A small thing.\n    """\n'
    found = made("q.py", code)
    assert origins(found) == {"docstring": ["Wait until the queue is empty.", "A small thing."]}
    assert all(pair.chunk_id for pair in found)


def test_pairs_are_capped_and_repeatable() -> None:
    text = "# Many things\n" + "".join(
        f"## Heading number {n}\nText {n}.\n\n" + "word " * 60 for n in range(99)
    )
    found = made("a.md", text)
    assert found == made("a.md", text)
    assert all(len(queries) <= pairs.LIMITS[origin] for origin, queries in origins(found).items())
    assert all(0 < pair.weight < 1 for pair in found)


def test_links_resolve_like_paths() -> None:
    assert pairs.resolve("/api/x.md", "guide/a.md") == "api/x.md"
    assert pairs.resolve("x%20y.md?v=1#z", "guide/a.md") == "guide/x y.md"
    assert pairs.resolve("https://a.b/c", "guide/a.md") == "https://a.b/c"
