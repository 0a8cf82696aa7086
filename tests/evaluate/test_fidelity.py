from __future__ import annotations

from dataclasses import replace

from fingerpost.config import GroundSettings
from fingerpost.evaluate.fidelity import alter, fidelity, to_json, told
from fingerpost.ground.answer import extract
from fingerpost.records import Answer, Span, Statement
from fingerpost.text.query import parse

TEXTS = {
    "a": "Signing keys rotate every ninety days without any help.",
    "b": "Session tokens expire after one hour of doing nothing.",
}
QUESTIONS = ["When do signing keys rotate?", "When do session tokens expire?"]
SETTINGS = GroundSettings(support=0.3)


def answered(question: str, *, without: frozenset[str] = frozenset()) -> Answer:
    spans = [Span(d, d, 0, len(text), text, 1.0) for d, text in TEXTS.items() if d not in without]
    return extract(parse(question), spans, settings=SETTINGS)


def test_answers_from_evidence_are_faithful_and_fall_with_it() -> None:
    def without(answer: Answer) -> Answer:
        return answered(answer.question, without=frozenset(span.doc_id for span in answer.citations))

    def altered(answer: Answer) -> Answer:
        spans = [Span(d, d, 0, len(text), alter(text), 1.0) for d, text in TEXTS.items()]
        return extract(parse(answer.question), spans, settings=SETTINGS)

    found = fidelity(
        map(answered, QUESTIONS), TEXTS.__getitem__, without=without, altered=altered, closed=lambda _: ""
    )
    assert found.faults == ()
    assert found.shares() == {
        "cited": 1.0,
        "verbatim": 1.0,
        "supported": 1.0,
        "refused": 0.0,
        "moved": 1.0,
        "followed": 1.0,
        "closed_book": 0.0,
        "leaked": 0.0,
    }


def test_an_answerer_that_ignores_its_evidence_is_found_out() -> None:
    by_heart = Answer("?", (Statement("Paris is the capital of France.", ()),), ())
    found = fidelity(
        [by_heart],
        TEXTS.__getitem__,
        without=lambda answer: answer,
        altered=lambda answer: answer,
        closed=lambda _: "Paris is the capital of France.",
    )
    assert (found.cited, found.unmoved, found.unfollowed, found.closed_book) == (0, 1, 1, 1)
    assert (found.compared, found.leaked) == (1, 1)
    assert to_json(found)["shares"] == found.shares()
    assert told(found)[-1] == "1 × uncited: a statement cites nothing"
    assert "  0.0%  of the answers change when the evidence they cite is altered" in told(found)
    assert found.faults == (("uncited", 1),)


def test_each_share_counts_its_own_fault() -> None:
    good = answered(QUESTIONS[0])
    wrong_place = replace(good, citations=tuple(replace(c, start=c.start + 1) for c in good.citations))
    wrong_words = replace(good, statements=(Statement("Cats sleep all day long.", (0,)),))
    refusal = answered("Who won the football cup?")
    found = fidelity([good, wrong_place, wrong_words, refusal], TEXTS.__getitem__)
    assert (found.answers, found.refused, found.statements) == (4, 1, 3)
    assert (found.cited, found.verbatim, found.supported) == (3, 2, 1)
    assert found.shares()["moved"] is None


def test_a_leak_is_the_same_answer_by_heart_and_a_failure_is_neither() -> None:
    replies = {
        QUESTIONS[0]: "Every ninety days, without any help.",
        QUESTIONS[1]: "After thirty minutes, I think.",
    }
    found = fidelity(
        map(answered, [*QUESTIONS, QUESTIONS[0], "Who won the football cup?"]),
        TEXTS.__getitem__,
        closed=lambda answer: replies.pop(answer.question, None),
    )
    assert (found.probed, found.closed_book, found.compared, found.leaked, found.unprobed) == (2, 2, 2, 1, 2)
    assert found.shares()["leaked"] == 0.5
    assert " 50.0%  of the answers are given by heart: the same with no evidence at all" in told(found)
    assert "2 questions could not be asked with no evidence: the language model failed" in told(found)
