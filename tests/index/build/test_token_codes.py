"""``store.token_codes``: how finely an index keeps its token vectors."""

from __future__ import annotations

from pathlib import Path

import pytest

import fingerpost
from fingerpost.config import Settings, parse
from fingerpost.errors import ConfigError
from fingerpost.index import Index
from fingerpost.rerank.codec import FINE, SMALL, Codec


def settings(form: str) -> Settings:
    return Settings.model_validate({"store": {"token_codes": form}})


def codec(index: Index) -> Codec:
    found = index._rooms.epoch(index._rooms.store.desk).judges.codec
    assert found is not None
    return found


@pytest.fixture(scope="module", params=["small", "fine"])
def made(request: pytest.FixtureRequest, corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    kb = tmp_path_factory.mktemp("codes") / request.param
    fingerpost.compile(corpus / "docs", to=kb, settings=settings(request.param)).close()
    return kb


def test_an_index_keeps_the_form_it_was_made_with(made: Path, corpus: Path) -> None:
    """Whatever the settings say later: codes of two forms cannot be compared, and a note says so."""
    own, other = (made.name, "small" if made.name == "fine" else "fine")
    form = {"small": SMALL, "fine": FINE}[own]
    for asked, said in ((own, ()), (other, ("token codes stay",))):
        with fingerpost.compile(corpus / "docs", to=made, settings=settings(asked)) as index:
            assert codec(index).fits(form)
            assert index.report is not None
            notes = [note for note in index.report.notes if "token codes" in note]
            assert len(notes) == len(said)
            assert all(map(str.startswith, notes, said))
            assert index.search("signing keys")


def test_another_word_is_refused() -> None:
    with pytest.raises(ConfigError, match="token_codes"):
        parse('[store]\ntoken_codes = "tiny"\n')
