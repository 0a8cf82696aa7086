"""The command line: one file a verb, loaded when it is called."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line of this process and end it with the command's exit status."""
    from fingerpost.cli.app import run

    for stream in (sys.stdout, sys.stderr):  # the same bytes whatever the locale says
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(encoding="utf-8", errors="backslashreplace")
    sys.exit(run(sys.argv[1:]))
