"""Identifiers, alone and in sentences, in a real index of Python's library: what holds them comes first."""

from __future__ import annotations

import json
import logging
from pathlib import Path

from bench.identifiers import SENTENCES, identifiers, wrong

import fingerpost


def test_identifiers_of_the_standard_library_come_first(tmp_path: Path) -> None:
    folder = Path(json.__file__).parent
    logs = Path(logging.__file__).parent
    sources = (folder, logs / "__init__.py", logs / "config.py", folder.parent / "configparser.py")
    with fingerpost.compile(*sources, to=tmp_path / "kb") as index:
        given = identifiers(index, a_kind=100)
        missed = wrong(index, given)
        asked = SENTENCES[1:]
        for number, sentence in enumerate(asked):  # each about identifiers of its own, of all kinds
            some = given[number :: len(asked)]
            lost = wrong(index, some, sentence)
            assert len(lost) <= 0.03 * len(some), (sentence, [one.text for one in lost])
    assert len(given) >= 200
    assert len(missed) <= 0.01 * len(given), [one.text for one in missed]
