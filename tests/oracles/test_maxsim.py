"""MaxSim over codes against the definition over float vectors, and the codec's promises."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from safetensors.numpy import load, save

from fingerpost.config import ModelSettings
from fingerpost.errors import FingerprintError
from fingerpost.models.encoder import load_encoder
from fingerpost.rerank import late, repeats
from fingerpost.rerank.codec import ALL_KEPT, FINE, SMALL, Codec, Form

DIMS = 48


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def passages() -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Vectors around a few hundred centres with a common mean, as an encoder's are."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(300, DIMS)) * np.linspace(2, 0.2, DIMS)
    common = rng.normal(size=DIMS) * 0.5
    pieces = [rng.integers(0, 300, rng.integers(1, 60)).astype(np.int32) for _ in range(200)]
    tokens = [unit(centres[ids] + common + rng.normal(size=(len(ids), DIMS)) * 0.2) for ids in pieces]
    return tokens, pieces


def brute(query: np.ndarray, tokens: list[np.ndarray]) -> np.ndarray:
    return np.array([(query @ passage.T).max(axis=1) for passage in tokens])


def test_codes_rank_as_float_vectors_do(passages):
    tokens, pieces = passages
    codec = Codec.train(tokens, pieces, form=Form(dims=DIMS, subspaces=24, common=1.0))
    codes = codec.encode(tokens, pieces)
    rng = np.random.default_rng(1)
    for at in range(20):
        query = unit(tokens[at][:8] + rng.normal(size=tokens[at][:8].shape) * 0.1)
        scores = late.maxsim(codec, late.prepare(codec, query, pieces[at][:8]), codes)
        truth = brute(query, tokens)
        assert np.abs(scores.similarities - truth).mean() < 0.03
        assert np.corrcoef(scores.plain, truth.mean(axis=1))[0, 1] > 0.98


def test_fine_codes_are_nearer_to_float_vectors() -> None:
    rng = np.random.default_rng(2)
    pieces = [rng.integers(0, 300, 40).astype(np.int32) for _ in range(150)]
    means = rng.normal(size=(300, 384)) * np.linspace(1, 0.1, 384)
    tokens = [unit(means[ids] + rng.normal(size=(40, 384)) * np.linspace(1, 0.1, 384)) for ids in pieces]
    far = []
    for form in (SMALL, FINE):
        codec = Codec.train(tokens[:100], pieces[:100], form=form)
        query = late.prepare(codec, tokens[0], pieces[0])
        told = late.maxsim(codec, query, codec.encode(tokens[100:], pieces[100:])).similarities
        far.append(np.abs(told - brute(tokens[0], tokens[100:])).mean())
    assert far[1] < 0.7 * far[0]


def test_int8_arithmetic_is_the_decoded_vectors_arithmetic(passages):
    tokens, pieces = passages
    codec = Codec.train(tokens, pieces, form=Form(dims=32, subspaces=8, common=1.0))
    codes = codec.encode(tokens, pieces)
    decoded = codec.decode(codes)
    vectors = decoded.vectors * np.float32(codec.scale) * decoded.stretch[:, None]
    query = late.prepare(codec, tokens[0], pieces[0])
    got = late.maxsim(codec, query, codes).similarities
    dots = (tokens[0] @ codec.rotation) @ vectors.T
    kept = [dots[:, a:b].max(axis=1) for a, b in pairwise(decoded.bounds)]
    assert np.allclose(got, np.array(kept) + tokens[0] @ codec.mean, atol=0.02)


def test_a_coded_vector_is_as_long_as_it_was(passages):
    tokens, pieces = passages
    codec = Codec.train(tokens, pieces, form=Form(DIMS, 6, 1.0, ALL_KEPT))
    decoded = codec.decode(codec.encode(tokens, pieces))
    lengths = np.linalg.norm(decoded.vectors * np.float32(codec.scale), axis=1) * decoded.stretch
    truth = np.linalg.norm(np.concatenate(tokens) - codec.mean, axis=1)
    assert np.abs(lengths / truth - 1).max() < 0.02


def test_alike_repeats_are_coded_once_and_rank_as_before(passages):
    tokens, pieces = passages
    near = [
        unit(one + np.random.default_rng(at).normal(size=one.shape) * 0.01) for at, one in enumerate(tokens)
    ]
    doubled = [np.concatenate(both) for both in zip(tokens, near, strict=True)]
    ids = [np.tile(one, 2) for one in pieces]
    form = Form(dims=DIMS, subspaces=24, common=1.0)
    codec = Codec.train(doubled, ids, form=form)
    codes = codec.encode(doubled, ids)
    assert sum(map(len, codes)) <= codec.width * sum(map(len, tokens))
    whole = Codec.train(doubled, ids, form=replace(form, alike=ALL_KEPT))
    assert sum(map(len, whole.encode(doubled, ids))) == whole.width * sum(map(len, doubled))
    scores = late.maxsim(codec, late.prepare(codec, tokens[0][:8], pieces[0][:8]), codes).plain
    truth = brute(tokens[0][:8], doubled).mean(axis=1)
    assert np.corrcoef(scores, truth)[0, 1] > 0.98


def test_repeats_that_differ_stay_apart():
    far = unit(np.eye(4, DIMS))
    assert repeats.once(far.copy(), np.full(4, 7), alike=0.9).tolist() == [True] * 4
    assert repeats.once(far.copy(), np.full(4, 7), alike=-1.0).tolist() == [True, False, False, False]
    assert repeats.once(far[:0], np.zeros(0, np.int64), alike=0.9).tolist() == []


def test_repeats_of_many_words_at_once_are_those_of_one_after_the_other():
    rng = np.random.default_rng(5)
    words = rng.integers(0, 12, 300)
    vectors = unit(rng.normal(size=(12, DIMS))[words] + rng.normal(size=(300, DIMS)) * 0.4)
    expected, left = vectors.copy(), np.ones(300, np.bool_)
    for word in range(12):
        rest = np.flatnonzero(words == word)
        while len(rest):
            near = vectors[rest] @ vectors[rest[0]] >= 0.85
            expected[rest[0]] = unit(vectors[rest[near]].sum(axis=0))
            left[rest[near][1:]] = False
            rest = rest[~near]
    kept = repeats.once(vectors, words, alike=0.85)
    assert kept.tolist() == left.tolist()
    assert 12 < kept.sum() < 300
    assert np.allclose(vectors[kept], expected[left], atol=1e-6)


def test_a_code_is_the_same_in_any_company(passages):
    tokens, pieces = passages
    ids = [np.tile(one, 3) for one in pieces]
    thrice = [np.concatenate([one, one[::-1], one]) for one in tokens]
    codec = Codec.train(thrice, ids, form=Form(dims=DIMS, subspaces=24, common=0.1))
    together = codec.encode(thrice, ids)
    assert together == [codec.encode([one], [few])[0] for one, few in zip(thrice, ids, strict=True)]
    assert together[7:60] == codec.encode(thrice[7:60], ids[7:60])


def test_a_codec_of_version_0_1_goes_on_keeping_every_repeat(passages):
    tokens, pieces = passages
    codec = Codec.train(tokens, pieces, form=Form(DIMS, 6, 1.0, ALL_KEPT))
    parts = load(codec.to_bytes())
    old = Codec.from_bytes(save({**parts, "form": np.delete(parts["form"], 3)}))
    assert old.form == codec.form
    assert old.encode(tokens, pieces) == codec.encode(tokens, pieces)


def test_a_codec_of_a_later_format_is_refused_with_a_cure(passages):
    parts = load(Codec.train(*passages).to_bytes())
    with pytest.raises(FingerprintError, match="6 numbers"):
        Codec.from_bytes(save({**parts, "form": np.append(parts["form"], 1.0)}))


def test_idf_weights_silence_pieces_that_every_passage_holds(passages):
    tokens, pieces = passages
    everywhere = [np.append(ids, 300).astype(np.int32) for ids in pieces]
    extended = [np.concatenate([t, t[:1]]) for t in tokens]
    codec = Codec.train(extended, everywhere)
    query = late.prepare(codec, extended[0][-2:], everywhere[0][-2:])
    assert query.weights[1] == pytest.approx(0)
    assert query.weights.sum() == pytest.approx(1)


def test_same_sample_and_seed_give_the_same_bytes(passages):
    tokens, pieces = passages
    one, two = (Codec.train(tokens, pieces, seed=3) for _ in range(2))
    assert one.to_bytes() == two.to_bytes()
    assert one.encode(tokens, pieces) == two.encode(tokens, pieces)
    assert Codec.from_bytes(one.to_bytes()).encode(tokens, pieces) == one.encode(tokens, pieces)


def test_on_real_tables_codes_rank_nearly_as_well_as_floats(shared_data):
    """876 table descriptions and 120 questions of spider-tables, the default encoder's token vectors."""
    encoder = load_encoder(ModelSettings(), threads=1)
    if encoder is None:
        pytest.skip("the default encoder is not installed")
    folder = shared_data / "spider-tables"
    corpus = [json.loads(line) for line in (folder / "corpus.jsonl").read_text().splitlines()]
    questions = map(json.loads, (folder / "queries.jsonl").read_text().splitlines())
    texts = {row["_id"]: row["text"] for row in questions}
    judged = (folder / "qrels" / "test.tsv").read_text().splitlines()
    qrels = [line.split("\t") for line in judged[1::20][:120]]
    at = {row["_id"]: place for place, row in enumerate(corpus)}
    encoded = encoder.encode_passages([f"{row['title']}\n{row['text']}" for row in corpus], tokens=True)
    tokens = [np.asarray(one, np.float32) for one in encoded.tokens]
    codec = Codec.train(tokens, encoded.token_ids)
    codes = codec.encode(tokens, encoded.token_ids)
    ranks = {"float": [], "codes": []}
    for query_id, doc_id, _ in qrels:
        query = encoder.encode_query(texts[query_id])
        prepared = late.prepare(codec, np.asarray(query.tokens, np.float32), query.token_ids)
        floats = brute(np.asarray(query.tokens, np.float32), tokens) @ prepared.weights
        coded = late.maxsim(codec, prepared, codes).idf
        for name, scores in (("float", floats), ("codes", coded)):
            ranks[name].append(1 + int((scores > scores[at[doc_id]]).sum()))
    reciprocal = {name: np.mean(1 / np.array(found)) for name, found in ranks.items()}
    assert reciprocal["codes"] > 0.97 * reciprocal["float"]
    assert sum(map(len, codes)) * 20 < sum(one.size for one in tokens) * 2  # against float16
