"""What serves a trained query encoder, without torch."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from fingerpost.config import ModelSettings
from fingerpost.errors import FingerprintError, InputError, MissingExtraError, ModelError
from fingerpost.models import build
from fingerpost.models.base import load_base
from fingerpost.models.encoder import load_encoder
from fingerpost.route.deep import held
from fingerpost.route.deep.artifact import Tuned, names_of
from fingerpost.route.deep.lazy import torch
from fingerpost.route.kmeans import unit
from fingerpost.route.pack import pack
from fingerpost.route.pairs import pairs

MINILM = ModelSettings(encoder="minilm")


def nobody_asked(dim: int) -> tuple[np.ndarray, np.ndarray]:
    """No training queries."""
    return names_of([]), np.zeros((0, dim), np.float32)


def test_exported_untouched_weights_give_the_vectors_of_the_encoder() -> None:
    encoder, base = load_encoder(MINILM, threads=1), load_base(MINILM)
    assert encoder is not None
    graph = build.export(base.network, base.source, base.pieces, "int8").graph
    kept = Tuned(graph, encoder.fingerprint, *nobody_asked(encoder.dim)).to_bytes()
    tuned = encoder.with_queries(Tuned.from_bytes(kept).checked(encoder.fingerprint).graph)
    before, after = (one.encode_query("how do I rotate the key?") for one in (encoder, tuned))
    assert np.array_equal(before.vector, after.vector)
    assert tuned.fingerprint == encoder.fingerprint


def test_only_the_vector_of_queries_is_changed() -> None:
    encoder, base = load_encoder(MINILM, threads=1), load_base(MINILM)
    assert encoder is not None
    base.network.layers[-1].outer[:] *= 0.5
    tuned = encoder.with_queries(build.export(base.network, base.source, base.pieces, "int8").graph)
    before, after = (one.encode_query("rotate the key") for one in (encoder, tuned))
    assert not np.array_equal(before.vector, after.vector)
    assert np.array_equal(before.tokens, after.tokens)
    assert np.array_equal(after.plain().vector, before.vector)
    passages = [one.encode_passages(["rotate the key"]).vectors for one in (encoder, tuned)]
    assert np.array_equal(*passages)


def test_an_artifact_of_another_encoder_or_kind_is_refused() -> None:
    tuned = Tuned(b"graph", "ab", *nobody_asked(3))
    with pytest.raises(FingerprintError, match="was trained from model ab"):
        Tuned.from_bytes(tuned.to_bytes()).checked("cd")
    with pytest.raises(ModelError):
        Tuned.from_bytes(b"not an artifact")
    assert Tuned.from_bytes(replace(tuned, cosine=0.4).to_bytes()).cosine == 0.4
    for wrong in (0.0, 1.5, "0.4", [0.4]):
        with pytest.raises(ModelError, match="not whole"):
            Tuned.from_bytes(replace(tuned, cosine=wrong).to_bytes())  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="not whole"):
        Tuned.from_bytes(pack("queries", {"graph": np.zeros(3, np.uint8)}, {"fingerprint": "ab"}))


def test_a_model_without_weights_cannot_be_trained() -> None:
    with pytest.raises(ModelError, match="no encoder"):
        load_base(ModelSettings(encoder="none"))


def test_without_torch_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtraError) as caught:
        _ = torch.no_grad
    assert "fingerpost[train]" in str(caught.value.cure)
    assert caught.value.exit_status == 6


def test_importing_the_package_does_not_import_torch() -> None:
    program = "import sys, fingerpost.route.deep.queries; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_ranks_take_the_best_chunk_of_a_document() -> None:
    vectors = np.eye(3, dtype=np.float32)
    given = pairs(np.array([[0.0, 0.1, 1.0]]), [0], [7])
    assert held.ranks(given.queries, given, vectors, np.array([7, 8, 7])).tolist() == [1.0]
    assert held.ranks(given.queries, given, vectors, np.array([7, 8, 9])).tolist() == [1 / 3]


def test_harm_to_unseen_documents_is_refused_whatever_is_gained() -> None:
    given = pairs(np.eye(4), range(4), range(4))
    unseen = np.array([False, False, True, True])
    gained = held.judge(np.full(4, 0.5), np.ones(4), given, unseen)
    harmed = held.judge(np.full(4, 0.5), np.array([1.0, 1.0, 0.4, 0.4]), given, unseen)
    assert gained.accepted
    assert not harmed.accepted


def test_unseen_queries_share_no_document_with_another_fold() -> None:
    random = np.random.default_rng(0)
    given = pairs(unit(random.normal(size=(200, 16))), range(200), random.integers(0, 60, 200))
    fold, unseen = held.assign(given, 2, seed=0)
    for number in range(2):
        trained = given.doc[fold[given.query] != number]
        mine = (fold[given.query] == number) & unseen[given.query]
        assert mine.any()
        assert not np.isin(given.doc[mine], trained).any()


def test_queries_that_are_all_alike_cannot_be_judged() -> None:
    given = pairs(np.tile([[1.0, 0.0]], (30, 1)), range(30), range(30))
    with pytest.raises(InputError, match="alike"):
        held.assign(given, 2, seed=0)
