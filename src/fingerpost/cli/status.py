"""`fingerpost status`: what an index holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from fingerpost.cli import options, output


def status(at: options.At = options.DEFAULT_AT, as_json: options.Json = False) -> None:
    """Show what an index holds and how its router is."""
    import fingerpost

    with fingerpost.open(at) as index:
        facts = index.status()
    if as_json:
        output.say(output.as_json(facts))
        return
    for line in lines(facts):
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


def _shown(value: object) -> str:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return output.number(value)
    return output.one_line(str(value))
