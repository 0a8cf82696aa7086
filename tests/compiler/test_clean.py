"""Preparing a document keeps outline and offsets true."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fingerpost.compiler import policy_digest, prepare
from fingerpost.compiler.normalize import normalize
from fingerpost.config import MaskSettings, Settings
from fingerpost.records import Document, Section
from fingerpost.text.spans import OffsetMap

SETTINGS = Settings()


def test_sections_move_with_the_text() -> None:
    text = "# A\r\nmail jo@firm.org\r\n# B\r\ntail"
    at = text.index("# B")
    document = Document(
        "d", text, sections=(Section(0, at, "A", 1), Section(at, len(text), "B jo@firm.org", 1))
    )
    ready = prepare(document, SETTINGS)
    assert [ready.text[s.start : s.end] for s in ready.sections][1] == "# B\ntail"
    assert ready.sections[0].end == ready.sections[1].start
    assert "⟦email:" in ready.sections[1].title


def test_the_source_map_leads_back_through_the_readers_own() -> None:
    source = "---\ntitle: x\n---\nmail jo@firm.org now\r\nend"
    document = Document("d", source[17:], source_map=((0, 17),))
    ready = prepare(document, SETTINGS)
    back = OffsetMap(ready.source_map)
    for word in ("mail", "now", "end"):
        assert source[back.to_source(ready.text.index(word)) :].startswith(word)


def test_titles_and_metadata_are_masked_and_names_of_files_are_not() -> None:
    document = Document(
        "d", "x", title="From jo@firm.org", metadata={"author": "jo@firm.org", "path": "jo@firm.org", "n": 3}
    )
    ready = prepare(document, SETTINGS)
    assert "firm.org" not in ready.title
    assert "firm.org" not in str(ready.metadata["author"])
    assert (ready.metadata["path"], ready.metadata["n"]) == ("jo@firm.org", 3)


def test_preparing_twice_changes_nothing() -> None:
    once = prepare(Document("d", "a\r\nb jo@firm.org \x00 4111 1111 1111 1111"), SETTINGS)
    twice = prepare(once, SETTINGS)
    assert replace(twice, flags=()) == replace(once, flags=())


def test_masking_can_be_turned_off_and_changes_the_policy() -> None:
    off = Settings(mask=MaskSettings(enabled=False))
    assert prepare(Document("d", "jo@firm.org"), off).text == "jo@firm.org"
    assert policy_digest(off.mask) != policy_digest(SETTINGS.mask)
    assert policy_digest(SETTINGS.mask, salt=b"own") != policy_digest(SETTINGS.mask)


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("a\rb\r\nc\x0bd\x85e", "a\nb\nc\nd\ne"),
        ("\x1b[31mred\x07", "[31mred"),
        ("e\u0301 \u212b ガ", "é Å ガ"),
        ("\u1112\u1161\u11ab", "한"),
        ("é\u0323", "ẹ\u0301"),
        ("\tkept\n", "\tkept\n"),
    ],
)
def test_normal_forms(text: str, normal: str) -> None:
    assert normalize(text).text == normal
