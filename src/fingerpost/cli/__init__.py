"""The command line: one file a verb, loaded when it is called."""

from __future__ import annotations

import os
import sys

BLAS_THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")
"""What numpy's BLAS asks for how many threads it may have, the stronger first."""


def main() -> None:
    """Run the command line of this process and end it with the command's exit status."""
    from fingerpost.cli.app import run

    if not any(name in os.environ for name in BLAS_THREADS):
        # its threads wait for each other, busily, longer than products as small as ours take
        os.environ[BLAS_THREADS[0]] = "1"
    for stream in (sys.stdout, sys.stderr):  # the same bytes whatever the locale says
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(encoding="utf-8", errors="backslashreplace")
    sys.exit(run(sys.argv[1:]))
