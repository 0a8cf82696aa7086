"""Verify an answer against the store: every citation exists, stands verbatim at its offsets, and carries
its statement.

A statement is carried by its citations when it is one of their sentences, or when everything checkable in
it comes from them: quotations, numbers, codes, links and markup verbatim, no negation that they lack, and
at least half of its words. That is a lexical test: it catches invention, not every false conclusion.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fingerpost.errors import FingerpostError
from fingerpost.records import Answer, Span, Statement
from fingerpost.text.tokens import analyze, codes

Read = Callable[[str], str]

LEAST_SHARED = 0.5
_QUOTED = re.compile('["“„«]([^"“”„«»]{2,2000})["”»]')
_MARKUP = re.compile(
    r"<[A-Za-z/!?][^>]{0,200}>?|!?\[[^\]]{0,200}\]\([^)]{0,500}\)?|\b[a-z][a-z+.-]{1,20}://\S{1,500}", re.I
)
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
_NEGATION = re.compile(r"\b(?:not|no|never|none|neither|nor|cannot|without)\b|n[’']t\b", re.I)


@dataclass(frozen=True, slots=True)
class Finding:
    """One fault of an answer. ``code`` is one of ``CODES``; the numbers count statements and citations from
    0.
    """

    code: str
    message: str
    statement: int | None = None
    citation: int | None = None


CODES = {
    "uncited": "a statement cites nothing",
    "dangling": "a statement cites a number that no citation has",
    "no_document": "the cited document is not there, or not readable",
    "bad_offsets": "the offsets do not lie in the document",
    "not_verbatim": "the cited text is not what stands at the offsets",
    "not_supported": "the cited text does not carry the statement",
}


def verify(answer: Answer, read: Read) -> tuple[Finding, ...]:
    """The faults of ``answer``, none when all is well. ``read`` gives a document's text, or raises a
    FingerpostError.

    >>> cited = Span("a.md", "c", 0, 8, "Keys rot", 1.0)
    >>> [f.code for f in verify(Answer("?", (Statement("Keys rot", (0,)),), (cited,)), lambda _: "Keys rust")]
    ['not_verbatim']
    """
    faults = [fault for at, span in enumerate(answer.citations) if (fault := _citation(at, span, read))]
    for at, statement in enumerate(answer.statements):
        faults += _statement(at, statement, answer.citations)
    return tuple(faults)


def _citation(at: int, span: Span, read: Read) -> Finding | None:
    try:
        text = read(span.doc_id)
    except (FingerpostError, LookupError) as error:
        return Finding("no_document", f"'{span.doc_id}' cannot be read: {error}", citation=at)
    if not 0 <= span.start < span.end <= len(text):
        where = f"{span.start}–{span.end} does not lie in '{span.doc_id}' ({len(text):,} characters)"
        return Finding("bad_offsets", where, citation=at)
    if text[span.start : span.end] != span.text:
        return Finding(
            "not_verbatim", f"'{span.doc_id}' says otherwise at {span.start}–{span.end}", citation=at
        )
    return None


def _statement(at: int, statement: Statement, citations: Sequence[Span]) -> list[Finding]:
    if not statement.citations:
        return [Finding("uncited", CODES["uncited"], statement=at)]
    wrong = [number for number in statement.citations if not 0 <= number < len(citations)]
    if wrong:
        message = f"citation {wrong[0] + 1} of {len(citations)} does not exist"
        return [Finding("dangling", message, statement=at)]
    fault = unsupported(statement.text, [citations[number].text for number in statement.citations])
    return [Finding("not_supported", fault, statement=at)] if fault else []


def unsupported(text: str, evidence: Sequence[str]) -> str:
    """Why ``evidence`` does not carry the statement ``text``; empty when it does.

    >>> unsupported("Keys rotate every 30 days.", ["Signing keys rotate every 90 days."])
    "'30' is not in the cited text"
    >>> unsupported("Keys rotate.", ["Signing keys\\n rotate often."])
    ''
    """
    cited = squeeze(" … ".join(evidence))
    said = squeeze(text)
    if not said:
        return "the statement is empty"
    if said == cited:
        return ""
    literal = [*_QUOTED.findall(said), *_MARKUP.findall(said), *_NUMBER.findall(said)]
    for piece in literal:
        if squeeze(piece).strip(".,;:") not in cited:
            return f"'{squeeze(piece)[:60]}' is not in the cited text"
    invented = set(codes(said)) - set(codes(cited)) - set(analyze(cited))
    if invented:
        return f"'{sorted(invented)[0][:60]}' is not in the cited text"
    if bool(_NEGATION.search(said)) != bool(_NEGATION.search(cited)):
        return "one of statement and cited text is negated, the other is not"
    shared = _shared(said, cited)
    return "" if shared >= LEAST_SHARED else f"shares {shared:.0%} of its words with the cited text"


def squeeze(text: str) -> str:
    """White space runs as one blank, as verbatim comparisons across line breaks need.

    >>> squeeze(" a\\n\\t b ")
    'a b'
    """
    return " ".join(text.split())


def _shared(said: str, cited: str) -> float:
    terms = set(analyze(said))
    return len(terms & set(analyze(cited))) / len(terms) if terms else 0.0
