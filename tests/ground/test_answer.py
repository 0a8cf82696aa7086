from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fingerpost.config import GroundSettings
from fingerpost.ground.answer import extract
from fingerpost.ground.pack import pack
from fingerpost.ground.support import MAX_ENCODED, MAX_SENTENCE_CHARS, Meaning, pieces, score
from fingerpost.ground.verify import verify
from fingerpost.records import Span
from fingerpost.text.query import parse

KEYS = (
    "# Keys\n\nHow do I rotate the signing key? Rotate the signing key with `keys rotate --now`. "
    "The old key stays valid for 30 days.\n\nUnrelated advice about gardens and birds stands here."
)
OTHER = "Bread is baked at 230 degrees for half an hour. Let it rest before cutting it."
TEXTS = {"keys.md": KEYS, "bread.md": OTHER}
SETTINGS = GroundSettings(support=0.35)


def span(doc_id: str, start: int = 0, end: int | None = None) -> Span:
    text = TEXTS[doc_id]
    stop = len(text) if end is None else end
    return Span(doc_id, f"{doc_id}#0", start, stop, text[start:stop], 1.0, generation=3)


def read(doc_id: str) -> str:
    return TEXTS[doc_id]


def test_the_answer_is_a_sentence_cited_at_its_place_in_the_document() -> None:
    answer = extract(
        parse("How do I rotate the signing key?"), [span("keys.md", 8), span("bread.md")], settings=SETTINGS
    )
    first = answer.citations[answer.statements[0].citations[0]]
    assert answer.statements[0].text == "Rotate the signing key with `keys rotate --now`."
    assert KEYS[first.start : first.end] == first.text
    assert (first.doc_id, first.chunk_id, first.generation) == ("keys.md", "keys.md#0", 3)
    assert "signing" in [KEYS[start:end] for start, end in first.highlights]
    assert 0 <= first.parts["support"] <= 1
    assert not answer.refused
    assert verify(answer, read) == ()


def test_a_question_that_nothing_answers_is_refused_with_the_figures() -> None:
    answer = extract(
        parse("Which football club won the cup?"), [span("keys.md"), span("bread.md")], settings=SETTINGS
    )
    assert answer.refused
    assert answer.statements == answer.citations == ()
    assert "best support 0." in answer.reason
    assert "needed 0.35" in answer.reason
    assert answer.text == answer.reason


def test_without_evidence_the_refusal_says_so() -> None:
    answer = extract(parse("anything at all?"), [], settings=SETTINGS)
    assert answer.refused
    assert "nothing was found" in answer.reason


def test_the_same_sentence_is_not_said_twice() -> None:
    copy = replace(span("keys.md"), doc_id="copy.md")
    answer = extract(parse("rotate the signing key"), [span("keys.md"), copy], settings=SETTINGS)
    texts = [statement.text for statement in answer.statements]
    assert len(texts) == len(set(texts))


def test_rare_words_weigh_more_than_common_ones() -> None:
    common, rare = "The signing of the contract took a day.", "ERR_CONN_RESET means the peer hung up."
    spans = [Span("a", "a", 0, len(common), common, 1.0), Span("b", "b", 0, len(rare), rare, 0.5)]
    idf = {"err_conn_reset": 9.0}
    best = score(parse("signing contract ERR_CONN_RESET"), spans, idf=lambda term: idf.get(term, 1.0))
    assert best[0].text == rare


def test_a_question_in_other_words_is_answered_by_meaning() -> None:
    """The vectors are stand-ins; the encoder's own are measured in bench/LOG.md."""
    query = parse("loaf oven temperature")

    def encode(sentences: list[str] | tuple[str, ...]) -> np.ndarray:
        return np.array(
            [[1.0, 0.0] if "baked" in text else [0.0, 1.0] for text in sentences], dtype=np.float32
        )

    meaning = Meaning(np.array([1.0, 0.0], dtype=np.float32), encode)
    best = score(query, [span("bread.md")], meaning=meaning)
    assert "baked" in best[0].text
    assert best[0].support > 2 * best[-1].support


def test_long_tables_and_code_are_cut_into_sentences_of_bearable_length() -> None:
    text = "value " * 1_000
    parts = pieces(text)
    assert all(0 < end - start <= MAX_SENTENCE_CHARS for start, end in parts)
    assert "".join(text[start:end] for start, end in parts).replace(" ", "") == text.replace(" ", "")
    assert pieces("x" * 2_000)


@given(
    st.lists(st.text(alphabet="ab.? \n#é\u202e", max_size=80), min_size=1, max_size=4),
    st.text(alphabet="ab é", min_size=1),
)
def test_whatever_the_text_the_citations_verify(texts: list[str], asked: str) -> None:
    documents = {f"d{at}": "prefix " + text for at, text in enumerate(texts)}
    spans = [Span(doc, doc, 7, len(text), text[7:], 1.0) for doc, text in documents.items() if len(text) > 7]
    query = parse("a " + asked)
    answer = extract(query, spans, settings=GroundSettings(support=0.0))
    assert verify(answer, documents.__getitem__) == ()


def test_packing_keeps_rank_and_budget_and_leaves_out_what_is_said_already() -> None:
    spans = [
        span("keys.md"),
        span("keys.md", 0, 60),
        replace(span("keys.md"), doc_id="copy"),
        span("bread.md"),
    ]

    def count(text: str) -> int:
        return len(text.split())

    packed = pack(spans, budget=100, count=count)
    assert [each.doc_id for each in packed] == ["keys.md", "bread.md"]
    cut = pack(spans, budget=45, count=count)
    assert all(TEXTS[each.doc_id][each.start : each.end] == each.text for each in cut)
    assert sum(16 + count(each.text) for each in cut) <= 45


@pytest.mark.parametrize("budget", [0, 10, 17])
def test_a_budget_too_small_packs_nothing(budget: int) -> None:
    assert pack([span("keys.md")], budget=budget, count=len) == ()


def test_support_does_not_depend_on_the_scale_of_idf() -> None:
    query, spans = parse("rotate the signing key"), [span("keys.md", 8)]
    one = score(query, spans, idf=lambda term: {"rotat": 2.0, "sign": 1.0}.get(term, 4.0))
    ten = score(query, spans, idf=lambda term: {"rotat": 20.0, "sign": 10.0}.get(term, 40.0))
    assert [each.support for each in one] == pytest.approx([each.support for each in ten])
    assert score(query, spans, idf=lambda _: 0.0)[0].support == score(query, spans)[0].support


LOCK = '''\
def acquire(self, blocking=True, timeout=-1):
    """Acquire a lock, blocking or not.

    If another thread owns the lock, block until that thread has released
    the lock, then acquire the lock and return.
    """
    lock = self.acquire(lock, thread)
    return lock.acquire(thread, blocking)
'''


def _ask(question: str, text: str = LOCK) -> list[str]:
    answer = extract(parse(question), [Span("d", "d#0", 0, len(text), text, 1.0)], settings=SETTINGS)
    assert verify(answer, {"d": text}.__getitem__) == ()
    assert all(text[each.start : each.end] == each.text for each in answer.citations)
    return [each.text for each in answer.statements]


def test_a_docstring_answers_before_the_code_around_it() -> None:
    said = _ask("What does acquire do when another thread owns the lock?")
    assert said[0] == (
        "If another thread owns the lock, block until that thread has released "
        "the lock, then acquire the lock and return."
    )
    assert not any("self" in each or '"""' in each for each in said)


def test_who_asks_for_a_signature_gets_code() -> None:
    assert (
        _ask("signature of acquire: blocking, timeout")[0] == "def acquire(self, blocking=True, timeout=-1):"
    )


def test_code_answers_where_there_is_no_prose() -> None:
    code = "retries = 5\nlock_timeout = connect(timeout, lock)\n"
    assert _ask("timeout lock connect", code) == ["lock_timeout = connect(timeout, lock)"]


def test_a_link_alone_is_no_answer() -> None:
    text = "See: https://example.org/lock_timeout/connect. The lock of the connect call has no timeout."
    assert _ask("lock timeout connect", text)[0] == "The lock of the connect call has no timeout."


def test_a_docstring_of_one_line_loses_its_quotation_marks() -> None:
    text = 'r"""Open the vault door."""\n\n\'\'\'Close the vault door\'\'\'\n\n"""'
    assert [text[start:end] for start, end in pieces(text)] == [
        "Open the vault door.",
        "Close the vault door",
    ]


def test_few_sentences_are_encoded_and_some_of_every_early_span_are_among_them() -> None:
    texts = ["".join(f"Sentence {n} of part {at} is about birds. " for n in range(20)) for at in range(4)]
    spans = [Span(f"d{at}", f"d{at}", 0, len(text), text, 1.0) for at, text in enumerate(texts)]
    encoded: list[str] = []

    def encode(sentences: list[str] | tuple[str, ...]) -> np.ndarray:
        encoded.extend(sentences)
        return np.tile(np.array([[1.0, 0.0]], dtype=np.float32), (len(sentences), 1))

    best = score(parse("loaf"), spans, meaning=Meaning(np.array([1.0, 0.0], dtype=np.float32), encode))
    assert len(best) == len(encoded) == MAX_ENCODED
    assert {each.span for each in best} >= {0, 1, 2}
