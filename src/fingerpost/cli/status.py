"""`fingerpost status`: what an index holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fingerpost.cli import options, output
from fingerpost.text.counts import counted


def status(
    at: options.At = options.DEFAULT_AT, as_of: options.AsOf = None, as_json: options.Json = False
) -> None:
    """Show what an index holds and how its router is."""
    import fingerpost

    with fingerpost.open(at, as_of=as_of) as index:
        facts, freshness = index.status(), index.freshness()
    if as_json:
        output.say(output.as_json({**facts, "freshness": freshness}))
        return
    for line in (*lines(facts), *fresh(freshness)):
        output.say(line)


def lines(facts: Mapping[str, object], prefix: str = "") -> Iterator[str]:
    """A line a fact, nested ones with dotted names.

    >>> list(lines({"documents": 3, "router": {"leaves": 2}}))
    ['documents                3', 'router.leaves            2']
    """
    for name, value in facts.items():
        if isinstance(value, Mapping):
            yield from lines(value, f"{prefix}{name}.")
            continue
        yield f"{prefix + name:<24} {_shown(value)}"


def fresh(freshness: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """For each step that changes took part in: how long it took, and how many changes took how long.

    >>> from fingerpost.evaluate.freshness import Lags
    >>> lags = Lags()
    >>> lags.add(0.015, changes=3)
    >>> list(fresh({"durable": lags.told(waiting=0)}))
    ['freshness.durable        p50 12.5 ms · p95 14.8 ms · max 15 ms · 3 changes (≤ 20 ms: 3)']
    """
    for step, told in freshness.items():
        if not told["changes"] and not told["waiting"]:
            continue
        marks = [f"{name} {_time(told[name])}" for name in ("p50", "p95", "max") if told["changes"]]
        waiting = [f"{output.number(told['waiting'])} waiting"] if told["waiting"] else []
        edges = [*(f"≤ {_time(edge)}" for edge in told["histogram"]["below"]), "longer"]
        bins = zip(edges, told["histogram"]["counts"], strict=True)
        spread = ", ".join(f"{edge}: {output.number(count)}" for edge, count in bins if count)
        changes = counted(told["changes"], "change") + (f" ({spread})" if spread else "")
        yield f"{f'freshness.{step}':<24} {' · '.join([*marks, changes, *waiting])}"


def _time(seconds: float) -> str:
    return f"{1000 * seconds:.3g} ms" if seconds < 1 else f"{seconds:,.3g} s"


def _shown(value: object) -> str:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return output.number(value)
    return output.one_line(str(value))
