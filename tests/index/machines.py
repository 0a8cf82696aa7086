"""Machines that users call by nicknames no document mentions: only training can find them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np

import fingerpost
from fingerpost.records import Pair

NICKNAMES = ["zorbo", "quilla", "vantrix", "mopsy", "tarkle", "bixen", "yulda", "fenno", "girra", "lopsun"]
PARTS = ["valve", "piston", "rotor", "gasket", "bearing", "flange", "spindle", "nozzle", "clutch", "camshaft"]
TAUGHT = ("where is the {}", "manual of the {}", "the {} is broken", "who repairs the {}", "price of the {}")


def corpus(folder: Path, count: int = 60) -> Path:
    """That many machines as JSON Lines."""
    path, random = folder / "machines.jsonl", np.random.default_rng(0)
    with path.open("w") as file:
        for at in range(count):
            text = f"Model {at} has these parts: {' '.join(random.choice(PARTS, 8))}."
            file.write(json.dumps({"_id": f"m{at}", "title": f"Machine {at}", "text": text}) + "\n")
    return path


def nickname(at: int) -> str:
    """What users call machine ``at``."""
    return f"{NICKNAMES[at % 10]} {NICKNAMES[at // 10]}"


def pairs(kinds: tuple[str, ...] = TAUGHT, count: int = 60) -> list[Pair]:
    """Questions of these kinds for the first ``count`` machines."""
    return [Pair(kind.format(nickname(at)), f"m{at}") for at in range(count) for kind in kinds]


def half_named(count: int = 60) -> list[Pair]:
    """Questions that six machines could answer, each with the one that was meant, two for each machine."""
    kinds = ("one more {}", "another {}", "what of a {}", "who has a {}", "which is a {}", "any {}")
    more = ("some {}", "how old is a {}", "every {}", "two of a {}", "where are {} made", "{} or none")
    return [
        Pair(each[at // 10].format(NICKNAMES[at % 10]), f"m{at}")
        for each in (kinds, more)
        for at in range(count)
    ]


def hits(index: fingerpost.Index, count: int = 60) -> float:
    """The share of machines found first by a question that nobody was taught."""
    found = [index.search(f"spare part for the {nickname(at)}", k=1) for at in range(count)]
    return sum(spans[0].doc_id == f"m{at}" for at, spans in enumerate(found)) / count


def written(folder: Path, given: list[Pair]) -> Path:
    """Pairs as JSON Lines."""
    path = folder / "pairs.jsonl"
    path.write_text("".join(json.dumps({"query": p.query, "doc_id": p.doc_id}) + "\n" for p in given))
    return path


def serves_without_torch(kb: Path) -> bool:
    """Whether a process that searches an index never imports torch."""
    code = (
        "import sys, fingerpost\n"
        f"index = fingerpost.open({str(kb)!r}); index.search('the zorbo')\n"
        "sys.exit('torch' in sys.modules)"
    )
    return subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
