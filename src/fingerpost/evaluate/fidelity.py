"""Citation fidelity: does every sentence cite, is every quote verbatim, does it carry the sentence, did it
matter?
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from fingerpost.ground.verify import Read, verify
from fingerpost.records import Answer

AskWithout = Callable[[Answer], Answer]


@dataclass(frozen=True, slots=True)
class Fidelity:
    """Counts over answers. ``replayed`` answers were asked again without what they cited; ``unmoved`` of
    those said the same again, so they did not come from their evidence. ``closed_book`` were answered from
    no evidence at all.
    """

    answers: int = 0
    refused: int = 0
    statements: int = 0
    cited: int = 0
    verbatim: int = 0
    supported: int = 0
    replayed: int = 0
    unmoved: int = 0
    probed: int = 0
    closed_book: int = 0
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
            "closed_book": _share(self.closed_book, self.probed),
        }


def fidelity(
    answers: Iterable[Answer],
    read: Read,
    *,
    without: AskWithout | None = None,
    closed: AskWithout | None = None,
) -> Fidelity:
    """Check answers against the store.

    ``without(answer)`` asks its question again with the cited evidence removed: an answer that stays the
    same did not come from its evidence. ``closed(answer)`` asks with no evidence: whatever is not a refusal
    was known by heart.
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
        if closed is not None:
            counts["probed"] += 1
            counts["closed_book"] += not closed(answer).refused
    return Fidelity(**counts, faults=tuple(sorted(faults.items())))


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


def _same(one: Answer, other: Answer) -> bool:
    return not other.refused and [s.text for s in one.statements] == [s.text for s in other.statements]


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
