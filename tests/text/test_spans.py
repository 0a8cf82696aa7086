"""Offset maps against a brute-force model, intervals, sentences."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.growth import assert_linear

from fingerpost.text.spans import OffsetMap, merge, sentences

Edit = tuple[int, int, int]


@st.composite
def edits(draw: st.DrawFn, length: int) -> list[Edit]:
    cuts = sorted(draw(st.lists(st.integers(0, length), max_size=8, unique=True)))
    pairs = zip(cuts[::2], cuts[1::2], strict=False)
    return [(start, end, draw(st.integers(0, 6))) for start, end in pairs]


def apply(origins: list[int | None], changes: list[Edit]) -> list[int | None]:
    """Each character's offset in the first source, None for characters that an edit put in."""
    result: list[int | None] = []
    at = 0
    for start, end, length in changes:
        kept = origins[start:end] if length == end - start else [None] * length
        result += origins[at:start] + kept
        at = end
    return result + origins[at:]


@given(st.data())
def test_kept_characters_lead_back_to_themselves(data: st.DataObject) -> None:
    changes = data.draw(edits(30))
    text = apply(list(range(30)), changes)
    mapping = OffsetMap.from_edits(changes)
    for at, origin in enumerate(text):
        if origin is not None:
            assert mapping.to_source(at) == origin
            assert mapping.span_to_source(at, at + 1)[0] == origin


@given(st.data())
def test_a_span_leads_back_to_all_it_came_from(data: st.DataObject) -> None:
    changes = data.draw(edits(30))
    text = apply(list(range(30)), changes)
    mapping = OffsetMap.from_edits(changes)
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    low, high = mapping.span_to_source(start, end)
    assert 0 <= low <= high <= 30
    assert all(low <= origin < high for origin in text[start:end] if origin is not None)


@given(st.data())
def test_composing_is_applying_one_after_the_other(data: st.DataObject) -> None:
    first = data.draw(edits(30))
    middle = apply(list(range(30)), first)
    second = data.draw(edits(len(middle)))
    text = apply(middle, second)
    mapping = OffsetMap.from_edits(second).compose(OffsetMap.from_edits(first))
    for at, origin in enumerate(text):
        if origin is not None:
            assert mapping.to_source(at) == origin
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    low, high = mapping.span_to_source(start, end)
    assert all(low <= origin < high for origin in text[start:end] if origin is not None)


def test_the_empty_map_is_the_identity() -> None:
    assert OffsetMap().to_source(7) == 7
    assert OffsetMap().span_to_source(3, 9) == (3, 9)
    assert OffsetMap().compose(OffsetMap()) == OffsetMap()


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40))))
def test_merging_keeps_exactly_the_covered_points(intervals: list[tuple[int, int]]) -> None:
    union = merge(intervals)
    covered = {at for start, end in intervals for at in range(start, end)}
    assert {at for start, end in union for at in range(start, end)} == covered
    assert all(left[1] < right[0] for left, right in pairwise(union))


@given(st.text(alphabet="aB .!?\n-。\"'1)é", max_size=120))
def test_sentences_hold_every_visible_character_once(text: str) -> None:
    spans = sentences(text)
    assert all(left[1] <= right[0] for left, right in pairwise(spans))
    assert "".join("".join(text[start:end].split()) for start, end in spans) == "".join(text.split())
    assert all(text[start:end] == text[start:end].strip() != "" for start, end in spans)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ('He said "Stop." Then he left.', ['He said "Stop."', "Then he left."]),
        ("Dr. J. Smith et al. found 3.5 mg (Fig. 2) enough.", None),
        ("It costs 3.50 vs. 4.00 in the U.S. today.", None),
        ("A line that was wrapped because it grew beyond the margin of\nthe page goes on here.", None),
        ("Items:\n- first\n- second", ["Items:", "- first", "- second"]),
        ("1. Install it.\n2. Run it.", ["1. Install it.", "2. Run it."]),
        ("Title\n\nThe body of it.", ["Title", "The body of it."]),
        ("x = 1\ny = foo(x)\nreturn y", ["x = 1", "y = foo(x)", "return y"]),
        ("京都に行く。東京は大きい。", ["京都に行く。", "東京は大きい。"]),
        ("Really?! Yes...", ["Really?!", "Yes..."]),
        ("See foo.bar() and v1.2.3 now.", None),
        ("", []),
        (
            "Take the lock. On entry, block until some other thread has called release() to\n"
            "        unlock it.\n        Then return.",
            [
                "Take the lock.",
                "On entry, block until some other thread has called release() to\n        unlock it.",
                "Then return.",
            ],
        ),
        (
            "    When true, what the caller has given to it, or\n    None, is used; see the\n    Manual.",
            ["When true, what the caller has given to it, or\n    None, is used; see the\n    Manual."],
        ),
        (
            "- an item of a list whose text is wrapped because it is long\n  goes on here\n- second",
            ["- an item of a list whose text is wrapped because it is long\n  goes on here", "- second"],
        ),
        (
            "Emphasis at the start of a line that was wrapped is no list:\n*dst* must be a folder.",
            ["Emphasis at the start of a line that was wrapped is no list:\n*dst* must be a folder."],
        ),
        (
            "The call of the function that copies what is in it:\n\n    copytree(a, b)\n    rmtree(a)",
            [
                "The call of the function that copies what is in it:",
                "copytree(a, b)",
                "rmtree(a)",
            ],
        ),
        ("Title of it\n===========\nThe body.", ["Title of it", "===========", "The body."]),
        (
            "-v, --verbose  say more about what is being done at the moment\n-q, --quiet  say less",
            ["-v, --verbose  say more about what is being done at the moment", "-q, --quiet  say less"],
        ),
        ("| a | b |\n| c | d |", ["| a | b |", "| c | d |"]),
        (
            'def f(x):\n    """Double it.\n    """\n    y = 2 * x\n    return y',
            ["def f(x):", '"""Double it.', '"""', "y = 2 * x", "return y"],
        ),
    ],
)
def test_sentences(text: str, expected: list[str] | None) -> None:
    assert [text[start:end] for start, end in sentences(text)] == ([text] if expected is None else expected)


@pytest.mark.parametrize("piece", [".", "?\"'", "\n ", "a. ", "A.", "1.\n", "- ", "\n\n\n", ". \n", "。」"])
def test_sentences_take_linear_time(piece: str) -> None:
    assert_linear(lambda count: sentences(piece * count), 200_000)


@pytest.mark.parametrize(
    "piece", ["the a\n ", "f(x,\n", "--a\n", "=\n", "word " * 5_000 + "\nthe ", "= [" * 999 + "\n"]
)
def test_lines_that_may_go_on_take_linear_time(piece: str) -> None:
    text = piece * (300_000 // len(piece))
    assert_linear(lambda size: sentences(text[:size]), len(text))
