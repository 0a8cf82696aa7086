"""Starting costs little: heavy modules load when a verb needs them, not before."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage

import pytest

HEAVY = (
    "numpy",
    "onnxruntime",
    "tantivy",
    "lightgbm",
    "rich",
    "httpx",
    "safetensors",
    "tokenizers",
)
LEARNING = ("lightgbm", "scipy", "sklearn", "onnx", "torch")
PATIENCE = 300.0
LOADED = "import sys, json; json.dump(sorted(sys.modules), sys.stdout)"


def _modules(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=PATIENCE
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    "code",
    [
        f"import fingerpost; {LOADED}",
        f"from fingerpost.cli.app import run; run(['--help']); print(); {LOADED}",
        f"from fingerpost.cli.app import run; run(['search', '--help']); print(); {LOADED}",
    ],
    ids=["import", "help", "verb help"],
)
def test_nothing_heavy_is_loaded(code: str) -> None:
    assert not _modules(code).intersection(HEAVY)


def test_what_only_learning_needs_is_not_loaded_by_a_search(tiny_kb: Path) -> None:
    code = f"import fingerpost; fingerpost.open({str(tiny_kb)!r}).search('token'); print(); {LOADED}"
    assert not _modules(code).intersection(LEARNING)


@pytest.mark.parametrize(
    "code",
    [
        f"import fingerpost; {LOADED}",
        f"from fingerpost.cli.app import run; run(['--help']); print(); {LOADED}",
    ],
    ids=["import", "help"],
)
def test_settings_are_not_built(code: str) -> None:
    assert "pydantic" not in _modules(code)


def _seconds(*arguments: str) -> float:
    """The processor time of an interpreter with these arguments."""
    began = _of_children()
    subprocess.run([sys.executable, *arguments], capture_output=True, check=True, timeout=PATIENCE)
    return _of_children() - began


def _of_children() -> float:
    used = getrusage(RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_starting_is_a_small_multiple_of_a_bare_interpreter() -> None:
    """The budgets are 60 ms and 250 ms on a quiet machine whose bare interpreter takes about 15 ms; as a
    multiple of processor time, with room, the least of several, they hold on a busy one too."""
    rounds = [
        (
            _seconds("-c", "pass"),
            _seconds("-c", "import fingerpost"),
            _seconds("-m", "fingerpost.cli", "--help"),
        )
        for _ in range(7)
    ]
    bare, imported, helped = map(min, zip(*rounds, strict=True))
    assert imported < 6 * bare
    assert helped < 30 * bare
