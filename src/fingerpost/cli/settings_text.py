"""The settings tree as a commented fingerpost.toml and as a page of the documentation."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import NamedTuple

from annotated_types import Ge, Gt, Le, Lt
from pydantic.fields import FieldInfo

from fingerpost.config import Section, Settings

HEAD = """\
# Settings of fingerpost. What stands here wins over what `effort` sets; a key that stays commented out
# follows `effort` and the defaults. A key that is not known is an error. Flags on the command line win over
# this file. Written by `fingerpost init`.
"""
PAGE_HEAD = """\
# Settings

One file, `fingerpost.toml`, holds every setting; `fingerpost init` writes it in full. It is read from the
current folder, or from where `--config` says. Flags win over the file, the file wins over what `effort` sets,
and that wins over the defaults. A key that is not known is an error that names the nearest one.
"""


class Entry(NamedTuple):
    """One key: its section ("" at the top), name, default, the values allowed, what it does."""

    section: str
    key: str
    default: object
    allowed: str
    description: str


def entries() -> Iterator[Entry]:
    """Every key of the tree in the order of the file, keys without a section first."""
    for name, field in Settings.model_fields.items():
        if not _is_section(field):
            yield _entry("", name, field)
    for section, field in Settings.model_fields.items():
        if _is_section(field):
            for name, inner in field.annotation.model_fields.items():  # type: ignore[union-attr]
                yield _entry(section, name, inner)


def sections() -> dict[str, str]:
    """Section names with what they are about."""
    found = {}
    for name, field in Settings.model_fields.items():
        if _is_section(field):
            found[name] = (field.annotation.__doc__ or "").strip().splitlines()[0]
    return found


def file_text() -> str:
    """A fingerpost.toml with every key at its default, commented out: `#key = value`.

    >>> "#chunk_tokens = 256" in file_text()
    True
    """
    about, lines, section = sections(), [HEAD], ""
    for entry in entries():
        if entry.section != section:
            section = entry.section
            lines.append(f"\n[{section}]\n# {about[section]}\n")
        lines.append(f"# {entry.description} ({entry.allowed})\n#{entry.key} = {toml(entry.default)}\n")
    return "".join(lines)


def page() -> str:
    """docs/reference/settings.md."""
    about, lines, section = sections(), [PAGE_HEAD, _table_head()], ""
    for entry in entries():
        if entry.section != section:
            section = entry.section
            lines.append(f"\n## {section}\n\n{about[section]}\n{_table_head()}")
        default = toml(entry.default).replace("|", "\\|")
        lines.append(f"| `{entry.key}` | `{default}` | {entry.allowed} | {entry.description} |\n")
    return "".join(lines)


def _table_head() -> str:
    return "\n| key | default | allowed | what it does |\n|---|---|---|---|\n"


def toml(value: object) -> str:
    """A value as TOML writes it.

    >>> toml(("a", "b")), toml(True), toml(0.5)
    ('["a", "b"]', 'true', '0.5')
    """
    if isinstance(value, tuple):
        return f"[{', '.join(toml(item) for item in value)}]"
    return json.dumps(value, ensure_ascii=False)


def _is_section(field: FieldInfo) -> bool:
    return isinstance(field.annotation, type) and issubclass(field.annotation, Section)


def _entry(section: str, key: str, field: FieldInfo) -> Entry:
    return Entry(section, key, field.default, _allowed(field), field.description or "")


def _allowed(field: FieldInfo) -> str:
    bounds = " and ".join(_bound(each) for each in field.metadata if isinstance(each, (Ge, Gt, Le, Lt)))
    return bounds or _kind(field.annotation)


def _bound(limit: Ge | Gt | Le | Lt) -> str:
    for name, sign in (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("lt", "<")):
        if hasattr(limit, name):
            return f"{sign} {getattr(limit, name)}"
    raise TypeError(f"not a bound: {limit!r}")


def _kind(annotation: object) -> str:
    if annotation is bool:
        return "true or false"
    if annotation in (int, float):
        return "a number"
    options = _literals(annotation)
    return ("some of " if isinstance(options, tuple) and _is_tuple(annotation) else "") + (
        ", ".join(options) if options else "text"
    )


def _is_tuple(annotation: object) -> bool:
    return getattr(annotation, "__origin__", None) is tuple


def _literals(annotation: object) -> tuple[str, ...]:
    """The strings of a Literal, also one inside a tuple or a union."""
    inner = getattr(annotation, "__args__", ())
    strings = tuple(item for item in inner if isinstance(item, str))
    return strings or tuple(each for item in inner if item is not ... for each in _literals(item))
