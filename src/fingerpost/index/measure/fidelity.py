"""Do answers come from their evidence? Questions are answered, checked against the store, and asked again."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from fingerpost.errors import FingerpostError
from fingerpost.evaluate import fidelity
from fingerpost.evaluate.datasets import QuestionSet
from fingerpost.evaluate.fidelity import Fidelity
from fingerpost.ground import byheart
from fingerpost.index.progress import Progress
from fingerpost.index.rooms import Rooms
from fingerpost.index.search import answering, searching
from fingerpost.index.search.found import Found, Request
from fingerpost.models.llm import load_llm
from fingerpost.records import Answer, Span

Said = TypeVar("Said")
_log = logging.getLogger(__name__)

CLOSED_TOKENS = 300
"""Most tokens of an answer by heart: enough to see that there is one."""


@dataclass
class Bench:
    """The question in hand: what was found for it, and the spans that its answer drew on."""

    rooms: Rooms
    found: Found
    spans: Sequence[Span]

    def without(self, answer: Answer) -> Answer:
        """The same question without the cited spans, and without any other that holds the same words."""
        rest = [span for span in self.spans if not any(cited.text in span.text for cited in answer.citations)]
        return answering.grounded(self.rooms, self.found, rest)

    def altered(self, answer: Answer) -> Answer:
        """The same question with the cited words changed wherever they stand."""
        spans = []
        for span in self.spans:
            text = span.text
            for cited in answer.citations:
                text = text.replace(cited.text, fidelity.alter(cited.text))
            spans.append(replace(span, text=text))
        return answering.grounded(self.rooms, self.found, spans)

    def closed(self, answer: Answer) -> str | None:
        """What the language model says to the same question with no evidence; None where it fails."""
        llm = load_llm(self.rooms.settings.llm)
        if llm is None:
            return None
        with llm:
            try:
                seconds = self.rooms.settings.llm.timeout_seconds
                asked = byheart.messages(answer.question)
                return byheart.said(llm.complete(asked, max_tokens=CLOSED_TOKENS, timeout=seconds))
            except FingerpostError as error:
                _log.warning("a question could not be asked with no evidence: %s", error)
                return None


def measure(
    rooms: Rooms, questions: QuestionSet, count: int, *, principals: Sequence[str], progress: Progress
) -> Fidelity:
    """The fidelity of the answers to ``count`` of the questions, evenly drawn."""
    bench: list[Bench] = []

    def answers() -> Iterator[Answer]:
        chosen = drawn(questions, count)
        for done, query_id in enumerate(chosen, start=1):
            found = searching.find(rooms, Request(questions.queries[query_id], (), principals))
            bench[:] = [Bench(rooms, found, answering.evidence(rooms, found))]
            yield answering.grounded(rooms, found, bench[0].spans)
            progress("answer", done, len(chosen))

    def now(ask: Callable[[Bench, Answer], Said]) -> Callable[[Answer], Said]:
        return lambda answer: ask(bench[0], answer)

    def read(doc_id: str) -> str:
        return bench[0].found.snapshot.document(doc_id, allow=bench[0].found.allow).text

    by_heart = now(Bench.closed) if rooms.settings.llm.url else None
    return fidelity.fidelity(
        answers(), read, without=now(Bench.without), altered=now(Bench.altered), closed=by_heart
    )


def drawn(questions: QuestionSet, count: int) -> list[str]:
    """The ids of at most ``count`` questions, evenly spread over all of them."""
    ids = list(questions.queries)
    if count >= len(ids):
        return ids
    return [ids[at * len(ids) // count] for at in range(count)]
