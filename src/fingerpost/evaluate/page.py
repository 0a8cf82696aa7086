"""The report as one HTML file: no script, no font, no picture and no request; light and dark, on a phone too.

What comes from documents or questions – ids, texts, notes – is escaped here and nowhere else trusted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

import numpy as np
from numpy.typing import NDArray

from fingerpost.evaluate import losses, sections, svg
from fingerpost.evaluate.attribute import Miss
from fingerpost.evaluate.fidelity import Fidelity
from fingerpost.evaluate.freshness import Freshness
from fingerpost.evaluate.report import Evaluation
from fingerpost.text.counts import counted

BINS = 10
BEST = ' class="best"'

POLICY = "default-src 'none'; style-src 'unsafe-inline'"
STYLE = """
:root { color-scheme: light dark; --ink: #1d2327; --soft: #5c666d; --paper: #fdfdfb; --card: #f3f4f0;
  --rule: #d9dcd8; --mark: #0b6e75; --on: #fff; --c0: #6b7a83; --c1: #8a5a2b; --c2: #7a4fa3; --c3: #0b6e75;
  --c4: #2f6fb0; --c5: #3e8443; --c6: #b3541e; --c7: #a8325e }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8e6; --soft: #9aa5ab; --paper: #15191c;
  --card: #1e2428; --rule: #343b40; --mark: #5cc2c8; --on: #15191c; --c0: #a3b0b8; --c1: #d9a46c;
  --c2: #c3a0e6; --c3: #5cc2c8; --c4: #86b6ec; --c5: #8ccb90; --c6: #f09a68; --c7: #f08fb0 } }
* { box-sizing: border-box }
body { margin: 0 auto; padding: 1.25rem 1rem 4rem; max-width: 52rem; background: var(--paper);
  color: var(--ink); font: 16px/1.5 system-ui, sans-serif }
h1 { font-size: 1.7rem; line-height: 1.2; margin: .5rem 0; letter-spacing: -.01em }
h2 { font-size: 1.15rem; margin: 3rem 0 .5rem; padding-top: .75rem; border-top: 1px solid var(--rule) }
p { margin: .4rem 0; overflow-wrap: anywhere } .soft { color: var(--soft) }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr)); gap: .75rem;
  margin: 1.25rem 0 }
.cards div { background: var(--card); border-radius: .6rem; padding: .8rem .9rem }
.cards b { display: block; font-size: 1.7rem; line-height: 1.25; font-variant-numeric: tabular-nums }
.cards small { color: var(--soft); display: block; line-height: 1.35; overflow-wrap: anywhere }
.wide { overflow-x: auto } table { border-collapse: collapse; width: 100%;
  font-variant-numeric: tabular-nums }
th, td { padding: .3rem .6rem; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--rule) }
th { color: var(--soft); font-weight: 500 }
th:first-child, td:first-child { text-align: left; padding-left: 0; position: sticky; left: 0;
  background: var(--paper) }
td small { color: var(--soft) } tr.best td { font-weight: 600 }
svg { width: 100%; height: auto; display: block; margin: .75rem 0 }
text { fill: var(--ink); font-size: 13px } .figure { font-variant-numeric: tabular-nums }
.tick { fill: var(--soft); font-size: 11px } .bar { fill: var(--mark) } .grid { stroke: var(--rule) }
.whisker { stroke: var(--mark); stroke-width: 3 } .thin { stroke: var(--mark) }
.ideal { stroke: var(--soft); stroke-dasharray: 4 4 }
.big { font-size: 34px; font-weight: 600 } .on { fill: var(--on); font-weight: 600 }
.sector { stroke: var(--paper); stroke-width: 1.5 } .part0 { opacity: .75 } .part1 { opacity: .4 }
.c0 { fill: var(--c0) } .c1 { fill: var(--c1) } .c2 { fill: var(--c2) } .c3 { fill: var(--c3) }
.c4 { fill: var(--c4) } .c5 { fill: var(--c5) } .c6 { fill: var(--c6) } .c7 { fill: var(--c7) }
details { border-bottom: 1px solid var(--rule); padding: .5rem 0 } summary { cursor: pointer }
details p:target { border-left: 3px solid var(--mark); padding-left: .6rem }
li { margin: .6rem 0; overflow-wrap: anywhere } code { font-size: .9em }
@media (max-width: 34rem) { text { font-size: 19px } .tick { font-size: 16px } .big { font-size: 40px }
  body { padding-inline: .8rem } .cards { grid-template-columns: 1fr 1fr } .cards b { font-size: 1.4rem }
  .cards div:last-child:nth-child(odd) { grid-column: 1 / -1 } }
@media print { details { break-inside: avoid } h2 { break-after: avoid } }
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
    title = f"{found.name}, {found.split}: {counted(len(found.query_ids), f'{found.kind}question')}"
    body = [
        f"<h1>Search quality</h1><p>{escape(title)}</p>",
        *(f'<p class="soft">{escape(note)}</p>' for note in found.notes),
        sections.glance(found, latency.whole(), len(lost.misses) if lost is not None else None),
        _quality(found),
        _apart(found),
        _spread(found),
        sections.calibrated(found),
        sections.routed(found),
        _stages(latency),
        sections.costs(found, latency.legs),
        _lost(found, lost) if lost is not None else "",
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
    told = f"Medians of {counted(len(whole), 'query')}, one after the other. "
    told += f"Whole search: p50 {p50}, p95 {p95}, p99 {p99} ms."
    if latency.scored is not None:
        told += f" A search scores {latency.scored:.1%} of the chunks."
    picture = svg.waterfall(rows, title="median milliseconds of each stage")
    return f'<h2>Latency</h2><p class="soft">{told}</p>{picture}'


def _lost(found: Evaluation, lost: Lost) -> str:
    known = dict(zip(found.query_ids, found.seen.tolist(), strict=True)) if found.seen.any() else None
    return losses.losses(lost.misses, lost.k, lost.queries, known)


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


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _bounds(bounds: tuple[float, float] | None) -> str:
    return "" if bounds is None else f"{bounds[0]:.3f} – {bounds[1]:.3f}"
