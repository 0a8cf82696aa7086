"""``store.token_codes``: how finely an index keeps its token vectors."""

from __future__ import annotations

from pathlib import Path

import pytest

import fingerpost
from fingerpost.config import Settings, parse
from fingerpost.errors import ConfigError, FingerprintError
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
    """Codes of two forms cannot be compared: other settings are refused, and change nothing."""
    own, other = (made.name, "small" if made.name == "fine" else "fine")
    with pytest.raises(FingerprintError, match=rf"store\.token_codes = {own}, not {other}") as found:
        fingerpost.compile(corpus / "docs", to=made, settings=settings(other))
    assert found.value.cure == "set store.token_codes as it was, or compile into a new folder"
    with (
        fingerpost.open(made, write=True, settings=settings(other)) as index,
        pytest.raises(FingerprintError, match=r"store\.token_codes"),
    ):
        index.update(corpus / "docs")
    with fingerpost.open(made, settings=settings(other)) as index:
        assert index.search("signing keys"), "searching goes by the codec that is there"
    for same in (settings(own), None):
        with fingerpost.compile(corpus / "docs", to=made, settings=same) as index:
            assert codec(index).fits({"small": SMALL, "fine": FINE}[own])
            assert index.report is not None
            assert index.report.counts["unchanged"] > 0


def test_where_no_codec_was_trained_nothing_is_refused(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    fingerpost.compile(tmp_path / "empty", to=tmp_path / "kb", settings=settings("small")).close()
    for _ in range(2):
        with fingerpost.compile(corpus / "docs", to=tmp_path / "kb", settings=settings("fine")) as index:
            assert codec(index).fits(FINE)


def test_another_word_is_refused() -> None:
    with pytest.raises(ConfigError, match="token_codes"):
        parse('[store]\ntoken_codes = "tiny"\n')
