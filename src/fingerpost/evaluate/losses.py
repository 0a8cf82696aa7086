"""The part of the report that tells where documents were lost, with examples one can open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from fingerpost.evaluate.attribute import CAUSES, CURES, Cause, Miss
from fingerpost.evaluate.sunburst import Sector, sunburst
from fingerpost.text.counts import counted

EXAMPLES = 20
SHOWN_CHARS = 300
MEANING: Mapping[Cause, str] = {
    "corpus": "not in the index",
    "reading": "in no chunk, or cut",
    "access": "not for this caller",
    "routing": "its leaf was not opened",
    "retrieval": "below every leg's cut",
    "fusion": "fused below the second look",
    "reranking": "ranked below the first k",
    "grounding": "found, not cited",
}


def losses(
    misses: Sequence[Miss], k: int, queries: Mapping[str, str], seen: Mapping[str, bool] | None = None
) -> str:
    """How often each stage lost a document – of questions about documents seen in training, and of others,
    where ``seen`` knows – and examples.
    """
    by_cause = {cause: [miss for miss in misses if miss.cause == cause] for cause in CAUSES}
    found = {cause: lost for cause, lost in by_cause.items() if lost}
    head = f"<h2>Where {counted(len(misses), 'miss was', 'misses were')} lost</h2>"
    if not found:
        return f"{head}<p>Every relevant document was among the first {k}.</p>"
    uncited = ", or not cited by an answer" if "grounding" in found else ""
    told = f"Relevant documents not among the first {k}{uncited}, by the first stage that lost them."
    if seen:
        told += " Outer ring: darker for documents seen in training, lighter for the others."
    sectors = [_sector(cause, lost, seen or {}) for cause, lost in found.items()]
    picture = sunburst(sectors, title="misses by the stage that lost them", middle="misses")
    opened = "".join(_cause(cause, lost, queries) for cause, lost in found.items())
    return f'{head}<p class="soft">{told}</p>{picture}{opened}'


def _sector(cause: Cause, misses: Sequence[Miss], seen: Mapping[str, bool]) -> Sector:
    known = sum(seen.get(miss.query_id, False) for miss in misses)
    parts = {"seen in training": known, "not seen": len(misses) - known}
    if not seen:
        parts = {"": len(misses)}
    style = f"c{CAUSES.index(cause)}"
    return Sector(cause, style, parts, words=MEANING[cause], leads=f"lost-{cause}")


def _cause(cause: Cause, misses: Sequence[Miss], queries: Mapping[str, str]) -> str:
    """The anchor stands inside, so that a browser which is led there opens the part."""
    cure = CURES[cause].replace("`", "")
    examples = "".join(_example(miss, queries) for miss in misses[:EXAMPLES])
    more = f'<p class="soft">{len(misses) - EXAMPLES:,} more</p>' if len(misses) > EXAMPLES else ""
    return (
        f"<details><summary>{cause}: {len(misses):,}</summary>"
        f'<p id="lost-{cause}">{escape(cure[0].upper() + cure[1:])}.</p><ol>{examples}</ol>{more}</details>'
    )


def _example(miss: Miss, queries: Mapping[str, str]) -> str:
    asked = queries.get(miss.query_id, miss.query_id)
    return (
        f"<li>{escape(asked[:SHOWN_CHARS])}<br/><code>{escape(miss.query_id[:SHOWN_CHARS])}</code> wants "
        f"<code>{escape(miss.doc_id[:SHOWN_CHARS])}</code>: {escape(miss.evidence[:SHOWN_CHARS])}</li>"
    )
