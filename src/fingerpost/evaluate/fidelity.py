"""Citation fidelity: does every sentence cite, is every quote verbatim, does it carry the sentence, did it
matter?

The last is asked by counterfactual: the same question once without the evidence that was cited, once with
that evidence altered, once with none. An answer that stays as it was did not come from its evidence.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields

from fingerpost.ground import byheart
from fingerpost.ground.verify import CODES, Read, verify
from fingerpost.records import Answer
from fingerpost.text.counts import counted
from fingerpost.text.spans import sentences

AskWithout = Callable[[Answer], Answer]
ByHeart = Callable[[Answer], str | None]

SHARES: Mapping[str, str] = {
    "cited": "of the statements cite",
    "verbatim": "of the statements cite what stands there, word for word",
    "supported": "of the statements are carried by what they cite",
    "moved": "of the answers change when the evidence they cite is taken away",
    "followed": "of the answers change when the evidence they cite is altered",
    "closed_book": "of the questions are answered with no evidence at all",
    "leaked": "of the answers are given by heart: the same with no evidence at all",
}
"""What is told of answers, in this order."""

_WORD = re.compile(r"[A-Za-z]{4,}")
_DIGITS = str.maketrans("0123456789", "3862917045")


@dataclass(frozen=True, slots=True)
class Fidelity:
    """Counts over answers. ``replayed`` answers were asked again without what they cited; ``unmoved`` of
    those said the same again, so they did not come from their evidence. ``altered`` were asked again with
    other numbers and names in what they cited; ``unfollowed`` of those kept the old ones. ``closed_book`` of
    the ``probed`` questions were answered with no evidence at all; ``unprobed`` could not be asked that way.
    ``leaked`` of the ``compared`` – probed and answered from evidence too – were the same answer.
    """

    answers: int = 0
    refused: int = 0
    statements: int = 0
    cited: int = 0
    verbatim: int = 0
    supported: int = 0
    replayed: int = 0
    unmoved: int = 0
    altered: int = 0
    unfollowed: int = 0
    probed: int = 0
    closed_book: int = 0
    unprobed: int = 0
    compared: int = 0
    leaked: int = 0
    faults: tuple[tuple[str, int], ...] = ()

    def shares(self) -> dict[str, float | None]:
        """The counts as shares, None where there is nothing to divide by.

        >>> Fidelity(statements=4, cited=4, verbatim=3, supported=3).shares()["verbatim"]
        0.75
        """
        return {
            "cited": _share(self.cited, self.statements),
            "verbatim": _share(self.verbatim, self.statements),
            "supported": _share(self.supported, self.statements),
            "refused": _share(self.refused, self.answers),
            "moved": _share(self.replayed - self.unmoved, self.replayed),
            "followed": _share(self.altered - self.unfollowed, self.altered),
            "closed_book": _share(self.closed_book, self.probed),
            "leaked": _share(self.leaked, self.compared),
        }


def fidelity(
    answers: Iterable[Answer],
    read: Read,
    *,
    without: AskWithout | None = None,
    altered: AskWithout | None = None,
    closed: ByHeart | None = None,
) -> Fidelity:
    """Check answers against the store.

    ``without(answer)`` asks its question again with the cited evidence removed: an answer that stays the
    same did not come from its evidence. ``altered(answer)`` asks with the cited text changed by ``alter``: an
    answer that keeps its words did not read it. ``closed(answer)`` is what is said to its question with no
    evidence: "" for nothing, None where it could not be asked. The same as the grounded answer is a leak: it
    does not show that the evidence was read.
    """
    counts: Counter[str] = Counter()
    faults: Counter[str] = Counter()
    for answer in answers:
        counts["answers"] += 1
        counts["refused"] += answer.refused
        _check(answer, read, counts, faults)
        if without is not None and not answer.refused:
            counts["replayed"] += 1
            counts["unmoved"] += _same(answer, without(answer))
        if altered is not None and not answer.refused:
            counts["altered"] += 1
            counts["unfollowed"] += _same(answer, altered(answer))
        if closed is not None:
            _probe(answer, closed(answer), counts)
    return Fidelity(**counts, faults=tuple(sorted(faults.items())))


def alter(text: str) -> str:
    """The text with other numbers, and with a word that does not exist for the longest of each sentence.

    >>> alter("Keys rotate every 90 days. So says RFC 9110, section 4.")
    'Keys vorzimate every 53 days. So says RFC 5883, vorzimate 9.'
    """
    changed = []
    at = 0
    for start, end in sentences(text):
        words = _WORD.findall(text, start, end)
        longest = re.escape(max(words, key=len)) if words else "$^"
        changed += [text[at:start], re.sub(rf"\b{longest}\b", "vorzimate", text[start:end])]
        at = end
    return "".join([*changed, text[at:]]).translate(_DIGITS)


def to_json(found: Fidelity) -> dict[str, object]:
    """The object that ``evaluate --answers --json`` prints under ``answers``."""
    counts = {field.name: getattr(found, field.name) for field in fields(found) if field.name != "faults"}
    return {"counts": counts, "shares": found.shares(), "faults": dict(found.faults)}


def told(found: Fidelity) -> list[str]:
    """The same in words, a line each; what was not asked is left out."""
    lines = [f"answers to {counted(found.answers, 'question')}, {found.refused:,} refused"]
    shares = found.shares()
    for name, meaning in SHARES.items():
        if shares[name] is not None:
            lines.append(f"{shares[name]:6.1%}  {meaning}")
    if found.unprobed:
        count = counted(found.unprobed, "question")
        lines.append(f"{count} could not be asked with no evidence: the language model failed")
    return [*lines, *(f"{count:,} × {code}: {CODES[code]}" for code, count in found.faults)]


def _check(answer: Answer, read: Read, counts: Counter[str], faults: Counter[str]) -> None:
    findings = verify(answer, read)
    faults.update(finding.code for finding in findings)
    broken = {f.citation for f in findings if f.citation is not None}
    by_statement = {f.statement: f.code for f in findings if f.statement is not None}
    for at, statement in enumerate(answer.statements):
        code = by_statement.get(at)
        cites = code not in ("uncited", "dangling")
        verbatim = cites and not broken.intersection(statement.citations)
        counts["statements"] += 1
        counts["cited"] += cites
        counts["verbatim"] += verbatim
        counts["supported"] += verbatim and code is None


def _probe(answer: Answer, said: str | None, counts: Counter[str]) -> None:
    """Count what was said with no evidence."""
    if said is None:
        counts["unprobed"] += 1
        return
    counts["probed"] += 1
    counts["closed_book"] += bool(said)
    if not answer.refused:
        counts["compared"] += 1
        grounded = " ".join(statement.text for statement in answer.statements)
        counts["leaked"] += byheart.same(answer.question, said, grounded)


def _same(one: Answer, other: Answer) -> bool:
    return not other.refused and [s.text for s in one.statements] == [s.text for s in other.statements]


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
