"""Closed book: what a language model says with no evidence at all, and whether that is the grounded answer.

A grounded answer that the model also gives by heart is no proof that it read the evidence (the closed-book
baseline of open-domain question answering; Roberts, Raffel and Shazeer, 2020,
doi:10.18653/v1/2020.emnlp-main.437).
"""

from __future__ import annotations

import json
import re

from fingerpost.ground.verify import squeeze, unsupported
from fingerpost.text.tokens import analyze

_SYSTEM = (
    "You answer a question from memory: there are no documents. Reply with one JSON object and nothing else: "
    '{"answer": "one or two sentences"}. If you do not know for certain, reply {"answer": ""}.'
)
_DECLINES = re.compile(
    r"^\W*(i (do not|don't|don’t|cannot|can't|can’t|am not|have no)|i'm (not|unable|sorry)"
    r"|sorry|unknown|n/a)\b",
    re.IGNORECASE,
)


def messages(question: str) -> list[dict[str, str]]:
    """The question and nothing else."""
    return [{"role": "system", "content": _SYSTEM}, {"role": "user", "content": question}]


def said(reply: str) -> str:
    """What the model says it knows, "" where it declines; text that is not the JSON asked for is taken as it
    stands.

    >>> said('{"answer": "Paris."}'), said("I don't know."), said("It is Paris.")
    ('Paris.', '', 'It is Paris.')
    """
    start, end = reply.find("{"), reply.rfind("}")
    try:
        told = json.loads(reply[start : end + 1]).get("answer")
    except (ValueError, AttributeError, RecursionError):
        told = reply
    text = squeeze(told) if isinstance(told, str) else ""
    return "" if _DECLINES.match(text) else text


def same(question: str, closed: str, grounded: str) -> bool:
    """Whether the answer by heart says what the grounded one says: one carries the other – numbers, names and
    negation included – and it adds something to the question.

    >>> same("What is the capital of France?", "Paris.", "The capital of France is Paris.")
    True
    >>> same("How often do keys rotate?", "Keys rotate often.", "Keys rotate every 90 days.")
    False
    """
    if not set(analyze(closed)) - set(analyze(question)):
        return False
    return not unsupported(closed, [grounded]) or not unsupported(grounded, [closed])
