"""The report is well-formed, holds the figures, asks for nothing, and lets no text become markup."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fingerpost.evaluate import svg
from fingerpost.evaluate.attribute import CAUSES, Miss
from fingerpost.evaluate.measures import parse
from fingerpost.evaluate.page import Latency, Lost, page
from fingerpost.evaluate.report import Evaluation

RNG = np.random.default_rng(0)
HOSTILE = "</code></li><script>alert(1)</script><img src=x onerror='a()'> & \" ' \x00 \x1b \u202e ]]> <!--"
PAGE = "html head meta title style body h1 h2 p b code div table tr th td small br details summary ol li a"
TAGS = {*PAGE.split(" "), "svg", "text", "rect", "line", "circle", "path"}


def evaluation(name: str = "tiny", notes: tuple[str, ...] = (), count: int = 40) -> Evaluation:
    values = {leg: RNG.uniform(0, 1, (count, 2)) for leg in ("lexical", "search")}
    ids = tuple(f"q{at}" for at in range(count))
    return Evaluation(
        name, "test", parse("nDCG@10 R@100"), ids, values, np.arange(count) % 2 == 0, notes=notes
    )


def lost(text: str = "why?", doc_id: str = "a.md") -> Lost:
    misses = [Miss(f"q{at}", doc_id, cause, f"{cause} {text}") for at, cause in enumerate(CAUSES)]
    return Lost([*misses, misses[0]], 10, {"q0": text})


LATENCY = Latency({"route": np.array([1.0, 2.0, 9.0]), "rerank": np.array([4.0, 5.0, 6.0])})


def tree(text: str) -> ElementTree.Element:
    return ElementTree.fromstring(text.removeprefix("<!DOCTYPE html>\n"))


def tags(text: str) -> set[str]:
    """The tags that a lenient parser sees, as a browser would."""
    found: set[str] = set()

    class Seen(HTMLParser):
        def handle_starttag(self, tag: str, attrs: object) -> None:
            found.add(tag)

    Seen().feed(text)
    return found


def words(element: ElementTree.Element) -> str:
    return " ".join("".join(element.itertext()).split())


def test_it_holds_the_figures() -> None:
    found = evaluation()
    told = words(tree(page(found, latency=LATENCY, lost=lost())))
    means, bounds = found.means(), found.intervals()
    for leg in ("lexical", "search"):
        for measure in ("nDCG@10", "R@100"):
            assert f"{means[leg][measure]:.4f}" in told
            assert "{:.3f} – {:.3f}".format(*(bounds[leg][measure] or ())) in told
    for part, legs in ((" seen (20)", found.means(found.seen)), (" unseen (20)", found.means(~found.seen))):
        assert part in told
        assert f"{legs['search']['R@100']:.4f}" in told
    assert "p50 7.0, p95 14.2, p99 14.8 ms" in told
    assert "2.0 ms" in told
    assert "Where 9 misses were lost" in told
    assert all(f"{cause}: " in told for cause in CAUSES)


def test_every_query_is_in_the_histogram() -> None:
    found = evaluation()
    root = tree(page(found, latency=LATENCY))
    (picture,) = (each for each in root.iter("svg") if "questions by" in each.get("aria-label", ""))
    counts = [int(each.text or "") for each in picture.iter("text") if each.get("class") == "figure"]
    assert sum(counts) == 40


def test_it_asks_for_nothing_from_outside() -> None:
    text = page(evaluation(), latency=LATENCY, lost=lost())
    assert not re.search(r'https?:|url\(|@import|<script|<link|<img|src=|href="(?!#)', text)
    assert "prefers-color-scheme: dark" in text
    assert 'name="viewport"' in text


def test_hostile_text_stays_text() -> None:
    found = evaluation(HOSTILE, (HOSTILE,))
    text = page(found, latency=Latency({HOSTILE: np.array([1.0])}), lost=lost(HOSTILE, HOSTILE))
    root = tree(text)
    assert {each.tag for each in root.iter()} <= TAGS
    assert not [key for each in root.iter() for key in each.keys() if key.startswith("on")]  # noqa: SIM118
    assert "<script>alert(1)</script>" in words(root)
    assert "<script" not in text
    assert not set("\x00\x1b\u202e") & set(text)

    assert tags(text) <= TAGS


@given(st.text(max_size=60))
def test_any_text_leaves_the_page_well_formed(text: str) -> None:
    root = tree(page(evaluation(text, count=2), latency=LATENCY, lost=lost(text, text)))
    assert {each.tag for each in root.iter()} <= TAGS


def test_without_queries_times_or_misses_it_is_still_a_page() -> None:
    empty = page(evaluation(count=0), latency=Latency())
    assert "Latency" not in words(tree(empty))
    assert "Every relevant document was among" in page(evaluation(), latency=LATENCY, lost=Lost([], 10, {}))


@pytest.mark.parametrize(
    "picture",
    [
        svg.bars([("a", 0.0, "0")], title="t"),
        svg.bars([], title="t"),
        svg.histogram([], title="t"),
        svg.histogram([0, 0], title="t"),
        svg.intervals([], title="t"),
    ],
)
def test_empty_pictures_are_drawn(picture: str) -> None:
    assert "nan" not in picture
    assert ElementTree.fromstring(picture).tag == "svg"
