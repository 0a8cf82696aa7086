"""Questions made of a document's own words."""

from __future__ import annotations

import numpy as np

from fingerpost.compiler.chunk import split
from fingerpost.compiler.questions import FEWEST, LONGEST, MOST_WORDS, SHORTEST, Made, questions
from fingerpost.records import Chunk, Document

TEXT = (
    "Keys are rotated on the first of every month. A revoked certificate cannot be restored by anybody.\n"
    "How long is the old one valid?\nIt stays valid for two more days, so that nobody is locked out."
)


def made(chunks: list[Chunk], seed: int = 0) -> dict[str, Made]:
    return {one.kind: one for one in questions(chunks, np.random.default_rng(seed))}


def test_what_a_question_is_made_of_is_not_in_its_chunk() -> None:
    chunks = split(Document("d", TEXT, title="Key rotation"))
    for seed in range(20):
        for one in (one for one in made(chunks, seed).values() if one.kind != "words"):
            rest = " ".join(chunk.passage for chunk in one.without.values())
            assert one.query not in rest
            said = " ".join(f"{chunk.title} {chunk.text}" for chunk in chunks)
            assert one.query in " ".join(said.split())


def test_each_kind_comes_at_most_once_and_the_same_seed_gives_the_same() -> None:
    chunks = split(Document("d", TEXT, title="Key rotation"))
    found = questions(chunks, np.random.default_rng(3))
    assert [one.kind for one in found] == ["sentence", "crop", "title", "faq", "words"]
    assert found == questions(chunks, np.random.default_rng(3))
    assert found[2].query == "Key rotation"
    assert found[3].query == "How long is the old one valid?"


def test_words_are_asked_for_as_they_stand() -> None:
    for seed in range(20):
        one = made(split(Document("d", TEXT)), seed)["words"]
        assert not one.without
        assert FEWEST <= len(one.query.split()) <= MOST_WORDS
        places = [TEXT.find(word) for word in one.query.split()]
        assert min(places) >= 0


def test_crops_are_short() -> None:
    chunks = split(Document("d", TEXT))
    lengths = {len(made(chunks, seed)["crop"].query.split()) for seed in range(60)}
    assert lengths <= set(range(SHORTEST, LONGEST + 1))
    assert len(lengths) > 3


def test_a_docstring_is_asked_for_its_code_without_it() -> None:
    said = '"""Return what the clipboard holds."""'
    code = f'def paste(primary=False):\n    {said}\n    return run("xclip", "-o", primary)\n'
    one = made([Chunk("c", "d", 0, 0, len(code), code)])["docstring"]
    assert one.query == "Return what the clipboard holds."
    assert one.without[0].text.startswith("def paste")
    assert "clipboard" not in one.without[0].text


def test_a_heading_is_asked_with_its_title_and_taken_from_all_beneath_it() -> None:
    body = "Some words of the body that stay where they are."
    chunks = [
        Chunk("0", "d", 0, 0, 0, f"# Setup\n{body}", "Router", ("Setup",)),
        Chunk("1", "d", 1, 0, 0, body, "Router", ("Setup", "Linux")),
        Chunk("2", "d", 2, 0, 0, body, "Router", ("Usage",)),
    ]
    found = [made(chunks, seed)["heading"] for seed in range(20)]
    setup = next(one for one in found if one.query == "Router Setup")
    assert list(setup.without) == [0, 1]
    assert [chunk.heading for chunk in setup.without.values()] == [(), ("Linux",)]
    assert "Setup" not in setup.without[0].text


def test_nothing_is_made_of_what_would_leave_nothing() -> None:
    assert questions([], np.random.default_rng(0)) == []
    text = "Only this one sentence of words."
    assert questions([Chunk("c", "d", 0, 0, len(text), text)], np.random.default_rng(0)) == []
    assert not made([Chunk("c", "d", 0, 0, 5, "Press it.", "Reset the router")])
