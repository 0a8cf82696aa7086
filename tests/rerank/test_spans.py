"""Spans: their text stands in the document, they do not repeat, and no document takes all the places."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.growth import assert_linear

from fingerpost.records import Chunk
from fingerpost.rerank.spans import Found, Wanted, best_run, select
from fingerpost.text.query import parse

QUERY = parse("rotate the signing key")
FILLER = "Nothing of the kind is told in this sentence at all. " * 8
TEXT = FILLER + "Rotate the signing key with fp rotate. The old key stays valid for a day. " + FILLER


def chunk(text: str = TEXT, *, doc: str = "d", start: int = 0, name: str = "c") -> Chunk:
    return Chunk(f"{doc}#{name}", doc, 0, start, start + len(text), text, title="Keys")


def found(*chunks: Chunk) -> list[Found]:
    return [Found(one, 1.0 / at, {"lexical": 1.0 / at}) for at, one in enumerate(chunks, start=1)]


def test_the_best_sentences_are_cut_out_with_offsets_in_the_document():
    document = "x" * 50 + TEXT
    (span,) = select(QUERY, found(chunk(start=50)), Wanted(most_chars=200))
    assert document[span.start : span.end] == span.text
    assert "Rotate the signing key with fp rotate." in span.text
    assert len(span.text) <= 200
    assert (span.title, span.score) == ("Keys", 1.0)


def test_highlights_are_the_query_s_words_in_the_document():
    document = "x" * 50 + TEXT
    (span,) = select(QUERY, found(chunk(start=50)), Wanted(most_chars=200))
    words = [document[a:b] for a, b in span.highlights]
    assert words == ["Rotate", "signing", "key", "rotate", "key"]


def test_rare_terms_weigh_more_than_common_ones():
    text = "Key, signing: both words stand here. " + FILLER + "How to rotate is told here."
    common = {"key": 0.1, "sign": 0.1, "rotat": 3.0}
    weights = {"rotat": 3.0, "sign": 0.1, "key": 0.1}
    assert text[slice(*best_run(text, weights, most_chars=60))].endswith("How to rotate is told here.")
    (span,) = select(QUERY, found(chunk(text)), Wanted(most_chars=60, idf=common))
    assert span.text.endswith("How to rotate is told here.")


def test_overlapping_chunks_of_a_document_become_one_span():
    first, second = chunk(TEXT[:500], name="a"), chunk(TEXT[400:], start=400, name="b")
    (span,) = select(QUERY, found(first, second), Wanted(most_chars=600))
    assert TEXT[span.start : span.end] == span.text
    assert (span.chunk_id, span.score) == ("d#a", 1.0)
    assert span.end > 500


def test_chunks_with_only_white_space_between_are_neighbours():
    document = "Rotate the signing key here.\n\nThe key is then rotated for signing."
    first, second = chunk(document[:28], name="a"), chunk(document[30:], start=30, name="b")
    for order in ([first, second], [second, first]):
        (span,) = select(QUERY, found(*order), Wanted(gap=lambda doc, a, b: document[a:b]))
        assert span.text == document
        assert (span.start, span.end) == (0, len(document))


def test_two_chosen_spans_that_a_third_closes_up_become_one():
    parts = ["Rotate the signing key here.", "The key is then rotated.", "Signing goes on with it."]
    document = " ".join(parts)
    starts = [document.index(part) for part in parts]
    first, second, third = (
        chunk(part, start=at, name=part[:3]) for part, at in zip(parts, starts, strict=True)
    )
    for order in ([first, third, second], [third, first, second], [second, third, first]):
        (span,) = select(QUERY, found(*order), Wanted(gap=lambda doc, a, b: document[a:b]))
        assert (span.start, span.text) == (0, document)
        assert (span.chunk_id, span.score) == (order[0].chunk_id, 1.0)


def test_a_copy_of_a_piece_of_a_merged_span_is_dropped():
    second = "The key that was rotated signs nothing after that day."
    text = f"Rotate the signing key here, with the command of that name.\n\n{second}"
    at = text.index(second)
    chunks = [
        part
        for doc in "ab"
        for part in (chunk(text[: at - 2], doc=doc, name="1"), chunk(second, doc=doc, start=at, name="2"))
    ]
    ranked = [chunks[0], chunks[2], chunks[1], chunks[3]]
    (span,) = select(QUERY, found(*ranked), Wanted(gap=lambda doc, a, b: text[a:b]))
    assert (span.doc_id, span.text) == ("a", text)


def test_in_scripts_without_spaces_the_pairs_asked_for_are_highlighted():
    text = "如果密钥丢失，必须立即停用。ERR_7错误"
    (span,) = select(parse("密钥 err_7"), found(chunk(text, start=5)), Wanted())
    assert [text[a - 5 : b - 5] for a, b in span.highlights] == ["密钥", "ERR_7"]


WORDS = st.sampled_from(
    ["key", "sign", "rotate", "the", "old", "one.", "two!", "密钥更换。", "x\n\n", "E4012,"]
)


@given(
    documents=st.lists(st.lists(WORDS, min_size=3, max_size=60), min_size=1, max_size=3),
    cuts=st.lists(st.integers(1, 12), min_size=1, max_size=8),
    order=st.randoms(use_true_random=False),
    most=st.integers(10, 120),
)
def test_spans_are_exact_apart_and_named_after_what_came_first(documents, cuts, order, most):
    """Whatever the chunks and their order: text by offsets, highlights inside, no two of a document touch
    unless they would be too long together.
    """
    texts = {f"d{at}": " ".join(words) for at, words in enumerate(documents)}
    chunks = []
    for doc, text in texts.items():
        at, turn = 0, 0
        while at < len(text):
            end = min(len(text), at + 5 * cuts[turn % len(cuts)])
            if text[at:end].strip():
                chunks.append(chunk(text[at:end], doc=doc, start=at, name=str(at)))
            at, turn = end, turn + 1
    order.shuffle(chunks)
    wanted = Wanted(count=50, per_document=3, most_chars=most, gap=lambda doc, a, b: texts[doc][a:b])
    spans = select(parse("rotate the signing key 密钥 E4012"), found(*chunks), wanted)
    assert [one.score for one in spans] == sorted((one.score for one in spans), reverse=True)
    for span in spans:
        assert span.text == texts[span.doc_id][span.start : span.end]
        assert all(span.start <= a < b <= span.end for a, b in span.highlights)
        others = [one for one in spans if one.doc_id == span.doc_id and one is not span]
        assert len(others) < wanted.per_document
        for other in others:
            assert span.end <= other.start or other.end <= span.start
            together = max(span.end, other.end) - min(span.start, other.start)
            between = texts[span.doc_id][min(span.end, other.end) : max(span.start, other.start)]
            assert between.strip() or len(between) > 8 or together > 2 * most


def test_chunks_far_apart_stay_two_spans():
    spans = select(QUERY, found(chunk(), chunk("A key to sign.", start=9_000, name="b")), Wanted())
    assert [span.chunk_id for span in spans] == ["d#c", "d#b"]


def test_near_duplicates_of_other_documents_are_dropped():
    copies = [chunk(doc=name) for name in "abc"]
    other = chunk("The signing key of another thing: rotate it too.", doc="z")
    assert [span.doc_id for span in select(QUERY, found(*copies, other), Wanted())] == ["a", "z"]


def test_no_document_takes_more_than_its_share():
    texts = [f"Word{at} key number{at} stands far{at} away{at}." for at in range(9)]
    many = [chunk(text, start=1_000 * at, name=str(at)) for at, text in enumerate(texts)]
    other = chunk("A signing key.", doc="z")
    spans = select(QUERY, found(*many, other), Wanted(per_document=2))
    assert [span.doc_id for span in spans] == ["d", "d", "z"]
    assert len(select(QUERY, found(*many, other), Wanted(count=1))) == 1


def test_without_a_match_the_beginning_is_shown():
    start, end = best_run(FILLER, {"zyzzyva": 1.0}, most_chars=120)
    assert start == 0
    assert 0 < end <= 120


@pytest.mark.parametrize("text", ["", " \n ", "one word", "a" * 5_000])
def test_odd_chunks(text):
    start, end = best_run(text, {"key": 1.0})
    assert 0 <= start <= end <= len(text)
    assert select(QUERY, found(chunk(text)), Wanted())[0].text == text[start:end]


@given(st.text(st.sampled_from("ab .\n!?é漢"), max_size=400), st.integers(10, 80))
def test_a_run_lies_in_the_text_and_is_short_or_one_sentence(text, most):
    start, end = best_run(text, {"a": 1.0, "b": 2.0}, most_chars=most)
    assert 0 <= start <= end <= len(text)
    (span,) = select(parse("a b"), found(chunk(text, start=7)), Wanted(most_chars=most))
    assert span.text == text[span.start - 7 : span.end - 7]
    assert all(span.start <= a < b <= span.end for a, b in span.highlights)


def test_a_long_chunk_takes_linear_time():
    assert_linear(lambda count: best_run("A key. " * count, {"key": 1.0}), 20_000)
