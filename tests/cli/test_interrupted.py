"""Ctrl-C, sent to a real process: what it says is true of the command that was stopped."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

from tests.index.machines import corpus, pairs, written

import fingerpost

COUNT = 1_500
START = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
"""Whoever started the tests may have it ignored."""


def stopped(*arguments: object, at: str) -> str:
    """The last line of a command that was stopped once it said ``at``."""
    code = f"{START}; import sys; from fingerpost.cli.app import run; sys.exit(run(sys.argv[1:]))"
    command = [sys.executable, "-c", code, *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = ""
        while at not in said:
            line = process.stderr.readline()
            assert line, said
            said += line
        process.send_signal(signal.SIGINT)
        try:
            _, rest = process.communicate(timeout=300)
        finally:
            process.kill()  # one that hangs would be waited for without end
    assert process.returncode == 130, rest
    return (said + rest).splitlines()[-1]


def test_a_lesson_that_is_stopped_is_not_said_to_go_on(tmp_path: Path) -> None:
    fingerpost.compile(corpus(tmp_path), to=tmp_path / "kb").close()
    given = written(tmp_path, pairs())
    line = stopped("learn", "--pairs", given, "--at", tmp_path / "kb", at="encode queries")
    assert line == "stopped; nothing is half done, and the same command begins anew"
    assert fingerpost.doctor(tmp_path / "kb") == []
    with fingerpost.open(tmp_path / "kb") as index:
        assert index.status()["fusion"] == "untrained"


def test_a_compile_that_is_stopped_goes_on(tmp_path: Path) -> None:
    text = "The valve of machine {} is made of zircon and lies beneath the rotor of its neighbour."
    records = [{"_id": f"d{at}", "text": text.format(at)} for at in range(COUNT)]
    (tmp_path / "c.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    line = stopped("compile", tmp_path / "c.jsonl", "--to", tmp_path / "kb", at="train codec")
    assert line == "stopped; what was done is kept, and the same command goes on from there"
    with fingerpost.compile(tmp_path / "c.jsonl", to=tmp_path / "kb") as index:
        assert index.report.counts["unchanged"] == index.report.counts["documents"] == COUNT
