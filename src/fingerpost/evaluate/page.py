"""The report as one HTML file: no script, no font, no picture and no request; light and dark, on a phone too.

What comes from documents or questions – ids, texts, notes – is escaped here and nowhere else trusted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

import numpy as np
from numpy.typing import NDArray

from fingerpost.evaluate import sections, svg
from fingerpost.evaluate.attribute import CAUSES, CURES, Miss
from fingerpost.evaluate.fidelity import Fidelity
from fingerpost.evaluate.freshness import Freshness
from fingerpost.evaluate.report import Evaluation

BINS = 10
EXAMPLES = 20
SHOWN_CHARS = 300
BEST = ' class="best"'

POLICY = "default-src 'none'; style-src 'unsafe-inline'"
STYLE = """
:root { color-scheme: light dark; --ink: #1d2327; --soft: #5c666d; --paper: #fdfdfb; --rule: #d9dcd8;
  --mark: #0b6e75 }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8e6; --soft: #9aa5ab; --paper: #15191c;
  --rule: #343b40; --mark: #5cc2c8 } }
* { box-sizing: border-box }
body { margin: 0 auto; padding: 1rem; max-width: 52rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif }
h1 { font-size: 1.5rem; line-height: 1.2; margin: .5rem 0 } h2 { font-size: 1.1rem; margin: 2.5rem 0 .5rem }
p { margin: .4rem 0; overflow-wrap: anywhere } .soft { color: var(--soft) }
.wide { overflow-x: auto } table { border-collapse: collapse; width: 100%;
  font-variant-numeric: tabular-nums }
th, td { padding: .3rem .6rem; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--rule) }
th:first-child, td:first-child { text-align: left; padding-left: 0 } td small { color: var(--soft) }
tr.best td { font-weight: 600 } svg { width: 100%; height: auto; display: block; margin: .5rem 0 }
text { fill: var(--ink); font-size: 13px } .figure { font-variant-numeric: tabular-nums }
.tick { fill: var(--soft); font-size: 11px } .bar { fill: var(--mark) } .grid { stroke: var(--rule) }
.whisker { stroke: var(--mark); stroke-width: 3 } .thin { stroke: var(--mark) }
.ideal { stroke: var(--soft); stroke-dasharray: 4 4 }
details { border-bottom: 1px solid var(--rule); padding: .4rem 0 } summary { cursor: pointer }
li { margin: .4rem 0; overflow-wrap: anywhere } code { font-size: .9em }
@media (max-width: 34rem) { text { font-size: 19px } .tick { font-size: 16px } }
"""


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds of each stage of each timed query, float64 [n], stages in the order in which they run; the
    same of each leg searched alone; and the share of the chunks that a search scored.
    """

    stages: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    legs: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)
    scored: float | None = None

    def whole(self) -> NDArray[np.float64]:
        """Milliseconds of each query."""
        return np.sum(list(self.stages.values()), axis=0) if self.stages else np.zeros(0)


@dataclass(frozen=True, slots=True)
class Lost:
    """The misses among the first ``k``, with the texts of the questions for the examples."""

    misses: Sequence[Miss]
    k: int
    queries: Mapping[str, str]


def page(
    found: Evaluation,
    *,
    latency: Latency,
    lost: Lost | None = None,
    answers: Fidelity | None = None,
    freshness: Freshness | None = None,
) -> str:
    """The whole file as text; the same evaluation gives the same text, latency apart."""
    title = f"{found.name}, {found.split}: {len(found.query_ids):,} {found.kind}questions"
    body = [
        f"<h1>Search quality</h1><p>{escape(title)}</p>",
        *(f'<p class="soft">{escape(note)}</p>' for note in found.notes),
        _quality(found),
        _apart(found),
        _spread(found),
        sections.calibrated(found),
        _stages(latency),
        sections.costs(found, latency.legs),
        _causes(lost) if lost is not None else "",
        sections.answered(answers) if answers is not None else "",
        sections.fresh(freshness) if freshness is not None else "",
    ]
    head = (
        '<meta charset="utf-8"/><meta name="viewport" content="width=device-width, initial-scale=1"/>'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}"/>'
        f"<title>{escape(title)}</title><style>{STYLE}</style>"
    )
    text = f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head><body>{"".join(body)}</body></html>\n'
    return "".join(each if _fit(each) else "�" for each in text)


def _quality(found: Evaluation) -> str:
    """Means with their intervals, and a picture of the first measure."""
    names = [str(measure) for measure in found.measures]
    means, bounds = found.means(), found.intervals()
    rows = []
    for leg, values in means.items():
        cells = [f"{_number(values[name])}<br/><small>{_bounds(bounds[leg][name])}</small>" for name in names]
        rows.append((leg, cells))
    drawn = [
        (leg, value, *span)
        for leg, values in means.items()
        if (value := values[names[0]]) is not None and (span := bounds[leg][names[0]]) is not None
    ]
    picture = svg.intervals(drawn, title=f"{names[0]} of each leg with its interval")
    told = '<p class="soft">Means with 95 % bootstrap intervals. <code>search</code> is what users get.</p>'
    return f"<h2>Quality</h2>{told}{picture}{_table(names, rows)}"


def _apart(found: Evaluation) -> str:
    """Seen and unseen documents apart, and the worst tenth."""
    names = [str(measure) for measure in found.measures]
    seen = int(found.seen.sum())
    parts = {
        f"seen ({seen:,})": found.means(found.seen),
        f"unseen ({len(found.seen) - seen:,})": found.means(~found.seen),
        "worst tenth": found.tails(),
    }
    rows = [
        (f"{leg}, {part}", [_number(values[name]) for name in names])
        for part, legs in parts.items()
        for leg, values in legs.items()
    ]
    told = '<p class="soft">Seen: a relevant document was relevant to a training question too.</p>'
    return f"<h2>Seen, unseen, worst</h2>{told}{_table(names, rows)}"


def _spread(found: Evaluation) -> str:
    """How many questions have which value of the first measure."""
    leg = "search" if "search" in found.values else next(iter(found.values), "")
    if not leg or not len(found.query_ids):
        return ""
    counts, _ = np.histogram(found.values[leg][:, 0], bins=BINS, range=(0.0, 1.0))
    name = str(found.measures[0])
    picture = svg.histogram([int(count) for count in counts], title=f"questions by {name} of {leg}")
    return f"<h2>Questions by {escape(name)} of {escape(leg)}</h2>{picture}"


def _stages(latency: Latency) -> str:
    whole = latency.whole()
    if not len(whole):
        return ""
    rows, begin = [], 0.0
    for name, ms in latency.stages.items():
        middle = float(np.median(ms))
        rows.append((name, begin, middle, f"{middle:.1f} ms"))
        begin += middle
    p50, p95, p99 = (f"{value:.1f}" for value in np.percentile(whole, [50, 95, 99]))
    told = f"Medians of {len(whole):,} queries, one after the other. "
    told += f"Whole search: p50 {p50}, p95 {p95}, p99 {p99} ms."
    if latency.scored is not None:
        told += f" A search scores {latency.scored:.1%} of the chunks."
    picture = svg.waterfall(rows, title="median milliseconds of each stage")
    return f'<h2>Latency</h2><p class="soft">{told}</p>{picture}'


def _causes(lost: Lost) -> str:
    """How often each stage lost a document, and examples one can open."""
    by_cause = {cause: [miss for miss in lost.misses if miss.cause == cause] for cause in CAUSES}
    found = {cause: misses for cause, misses in by_cause.items() if misses}
    head = f"<h2>Where {len(lost.misses):,} misses were lost</h2>"
    if not found:
        return f"{head}<p>Every relevant document was among the first {lost.k}.</p>"
    rows = [(cause, float(len(misses)), f"{len(misses):,}") for cause, misses in found.items()]
    uncited = ", or not cited by an answer" if "grounding" in found else ""
    told = f"Relevant documents not among the first {lost.k}{uncited}, by the first stage that lost them."
    opened = [
        f"<details><summary>{cause}: {len(misses):,}</summary><p>{escape(_plain(CURES[cause]))}</p>"
        f"<ol>{''.join(_example(miss, lost.queries) for miss in misses[:EXAMPLES])}</ol></details>"
        for cause, misses in ((cause, found[cause]) for cause in CAUSES if cause in found)
    ]
    return f'{head}<p class="soft">{told}</p>' + f"{svg.bars(rows, title='misses by cause')}{''.join(opened)}"


def _example(miss: Miss, queries: Mapping[str, str]) -> str:
    asked = queries.get(miss.query_id, miss.query_id)
    return (
        f"<li>{escape(asked[:SHOWN_CHARS])}<br/><code>{escape(miss.query_id[:SHOWN_CHARS])}</code> wants "
        f"<code>{escape(miss.doc_id[:SHOWN_CHARS])}</code>: {escape(miss.evidence[:SHOWN_CHARS])}</li>"
    )


def _table(names: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]]) -> str:
    """Cells are markup made here; names and labels are escaped."""
    head = "".join(f"<th>{escape(name)}</th>" for name in names)
    body = "".join(
        f"<tr{BEST if label == 'search' else ''}><td>{escape(label)}</td>"
        f"{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
        for label, cells in rows
    )
    return f'<div class="wide"><table><tr><th></th>{head}</tr>{body}</table></div>'


def _fit(char: str) -> bool:
    """Whether XML and a reader's eye may meet this character: no controls, no surrogates, no reordering."""
    code = ord(char)
    if code < 32:
        return char in "\t\n\r"
    return not (
        0x7F <= code < 0xA0 or 0xD800 <= code < 0xE000 or code in _REORDER or code in (0xFFFE, 0xFFFF)
    )


_REORDER = frozenset((0x61C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)))


def _plain(text: str) -> str:
    return text.replace("`", "")


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _bounds(bounds: tuple[float, float] | None) -> str:
    return "" if bounds is None else f"{bounds[0]:.3f} – {bounds[1]:.3f}"
