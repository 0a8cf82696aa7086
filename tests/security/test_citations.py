"""Every citation exists, is verbatim and carries its sentence: 5,000 answers of an obedient model that lies.

The model lies through every field it can fill. With the guard off – its claims taken as they are – the
verifier must find faults, or this test would prove nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from random import Random

from fingerpost.ground.prompted import parse, prompted
from fingerpost.ground.verify import verify
from fingerpost.records import Answer, Span, Statement

ANSWERS = 5_000
WORDS = [
    "key",
    "signing",
    "token",
    "rotate",
    "expire",
    "session",
    "login",
    "server",
    "cache",
    "error",
    "retry",
]
EXTRACTIVE = Answer("?", (), (), refused=True, reason="extractive")


class Liar:
    """Does what a hostile document tells it: mixes truth with every kind of lie."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(seed)
        self.texts = {f"d{at}": self._text() for at in range(4)}
        self.spans = [self._span(doc_id) for doc_id in self.texts]

    def complete(
        self,
        messages: Sequence[Mapping[str, str]],
        *,
        max_tokens: int,
        timeout: float,
        schema: Mapping[str, object] | None = None,
    ) -> str:
        said = [self._statement() for _ in range(self.rng.randint(1, 4))]
        return json.dumps({"statements": said})

    def _text(self) -> str:
        rng = self.rng
        return " ".join(
            f"{' '.join(rng.choices(WORDS, k=6)).capitalize()} {rng.randint(1, 99)} times."
            for _ in range(rng.randint(2, 5))
        )

    def _span(self, doc_id: str) -> Span:
        text = self.texts[doc_id]
        start = self.rng.randrange(0, 10)
        return Span(doc_id, doc_id, start, len(text), text[start:], 1.0)

    def _statement(self) -> object:
        rng = self.rng
        number = rng.randint(1, len(self.spans))
        words = self.spans[number - 1].text.split()
        at = rng.randrange(max(1, len(words) - 6))
        quote = " ".join(words[at : at + 6])
        text = quote
        match rng.randrange(10):
            case 0:
                number = rng.choice([0, -1, 5, 10**9])
            case 1:
                number = number % len(self.spans) + 1
            case 2:
                quote = text = " ".join(rng.choices(WORDS, k=6))
            case 3:
                text = " ".join(rng.choices(WORDS, k=8)) + " 100 times"
            case 4:
                text = f"It is not true that {quote}"
            case 5:
                text = f"{quote} <a href='http://evil.example'>more</a>"
            case 6:
                quote = quote.upper()
            case 7:
                quote = ""
            case 8:
                text = f"{quote} \u202e\x1b[8m"
        return {"text": text, "quotes": [{"evidence": number, "quote": quote}]}


def test_no_lie_of_an_obedient_model_reaches_the_answer() -> None:
    kept = dropped = unguarded = 0
    for seed in range(ANSWERS):
        liar = Liar(seed)
        answer = prompted("what?", liar.spans, llm=liar, extractive=lambda: EXTRACTIVE)
        assert verify(answer, liar.texts.__getitem__) == (), f"seed {seed}"
        kept += len(answer.statements)
        dropped += "dropped" in answer.reason
        unguarded += bool(verify(_believed(liar), liar.texts.__getitem__))
    assert kept > ANSWERS / 10
    assert dropped > ANSWERS / 2
    assert unguarded > ANSWERS / 2, "with the guard off the verifier finds the lies"


def _believed(liar: Liar) -> Answer:
    claims = parse(liar.complete((), max_tokens=0, timeout=0))
    statements = tuple(Statement(claim.text, tuple(n - 1 for n, _ in claim.quotes)) for claim in claims)
    return Answer("what?", statements, tuple(liar.spans))
