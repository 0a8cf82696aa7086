"""The generated pages of docs/reference: command line, settings, errors."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fingerpost import errors
from fingerpost.cli import settings_text
from fingerpost.cli.environment import KNOWN

GENERATED = "<!-- written by `fingerpost docs`; edit the code, not this page -->\n\n"


def pages(program: Any) -> dict[str, str]:
    """File name → text of every generated page; ``program`` is the group of all verbs, as click has it."""
    written = {"cli.md": cli(program), "settings.md": settings_text.page(), "errors.md": error_codes()}
    return {name: GENERATED + text for name, text in written.items()}


def write(folder: Path, program: Any) -> list[Path]:
    """Write the pages into a folder and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, text in pages(program).items():
        (folder / name).write_text(text, encoding="utf-8")
        written.append(folder / name)
    return written


def cli(program: Any) -> str:
    """The page on the command line, from the verbs' own signatures."""
    head = f"# Command line\n\n{program.help}\n\n{program.epilog}\n\n"
    head += "Data goes to stdout, everything else to stderr. `--json` writes one JSON object a line.\n"
    variables = "".join(f"| `{name}` | {what} |\n" for name, what in KNOWN.items())
    tail = f"\n## Environment\n\n| variable | meaning |\n|---|---|\n{variables}"
    return head + "".join(_verb(name, command) for name, command in program.commands.items()) + tail


def _verb(name: str, command: Any) -> str:
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    shape = " ".join(_shape(each) for each in arguments)
    usage = f"fingerpost {name} [OPTIONS] {shape}".rstrip()
    rows = "".join(_row(each) for each in command.params)
    table = f"\n| option | default | meaning |\n|---|---|---|\n{rows}" if rows else ""
    return f"\n## {name}\n\n`{usage}`\n\n{inspect.cleandoc(command.help)}\n{table}"


def _shape(argument: Any) -> str:
    shown = argument.name.upper() + ("…" if argument.nargs == -1 else "")
    return shown if argument.required else f"[{shown}]"


def _row(param: Any) -> str:
    argument = param.param_type_name == "argument"
    name = _shape(param) if argument else ", ".join([*param.opts, *param.secondary_opts])
    return f"| `{name}` | {_default(param)} | {getattr(param, 'help', None) or ''} |\n"


def _default(param: Any) -> str:
    if param.required:
        return "required"
    return "" if param.default in (None, False, [], ()) else f"`{param.default}`"


def error_codes() -> str:
    """The page on errors: classes with their exit status, and every code."""
    classes = "".join(f"| `{name}` | {status} | {about} |\n" for name, status, about in _classes())
    codes = "".join(f"| `{code}` | {what} |\n" for code, what in _sorted(errors.CODES))
    return (
        "# Errors\n\nEvery error has a code, a sentence and a cure; on the command line "
        "`error E_CODE: sentence` and\n`cure: …` on stderr, in Python "
        "`error.code`, `error.message`, `error.cure`.\n\n"
        f"| class | exit status | when |\n|---|---|---|\n{classes}\n| code | meaning |\n|---|---|\n{codes}"
    )


def _sorted(table: Mapping[str, str]) -> list[tuple[str, str]]:
    return sorted(table.items())


def _classes() -> Iterator[tuple[str, int, str]]:
    for name, item in vars(errors).items():
        if isinstance(item, type) and issubclass(item, errors.FingerpostError):
            yield name, item.exit_status, (item.__doc__ or "").splitlines()[0]
