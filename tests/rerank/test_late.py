"""The codec's edges: empty passages, damaged bytes, narrow models, long queries."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from tests.growth import assert_linear

from fingerpost.errors import CorruptError, InputError
from fingerpost.rerank import late
from fingerpost.rerank.codec import Codec, Form


def passages(count: int = 60, dims: int = 16, length: int = 24):
    rng = np.random.default_rng(0)
    tokens = rng.normal(size=(count, length, dims)).astype(np.float32)
    tokens /= np.linalg.norm(tokens, axis=2, keepdims=True)
    return list(tokens), list(rng.integers(0, 500, (count, length)).astype(np.int32))


@pytest.fixture(scope="module")
def codec() -> Codec:
    return Codec.train(*passages())


def test_a_code_is_three_bytes_and_one_a_subspace_for_each_token(codec):
    tokens, pieces = passages()
    codes = codec.encode([tokens[0], tokens[1][:5], tokens[2][:0]], [pieces[0], pieces[1][:5], pieces[2][:0]])
    assert codec.width == 3 + codec.form.subspaces
    assert [len(code) / codec.width for code in codes] == [24, 5, 0]
    assert codec.encode([], []) == []


def test_a_passage_without_tokens_has_no_score(codec):
    tokens, pieces = passages()
    codes = codec.encode(tokens[:2], pieces[:2])
    query = late.prepare(codec, tokens[0][:4], pieces[0][:4])
    scores = late.maxsim(codec, query, [b"", codes[0], b"", codes[1], b""])
    assert np.isnan(scores.idf).tolist() == [True, False, True, False, True]
    assert np.array_equal(scores.idf[[1, 3]], late.maxsim(codec, query, codes).idf)


def test_nothing_to_score_and_a_query_without_tokens(codec):
    tokens, pieces = passages()
    query = late.prepare(codec, tokens[0][:4], pieces[0][:4])
    assert late.maxsim(codec, query, []).plain.shape == (0,)
    empty = late.prepare(codec, tokens[0][:0], pieces[0][:0])
    assert np.isnan(late.maxsim(codec, empty, codec.encode(tokens[:2], pieces[:2])).idf).all()


def test_of_a_long_query_the_rarest_tokens_are_compared(codec):
    tokens, pieces = passages(length=200)
    query = late.prepare(codec, tokens[0], pieces[0])
    assert len(query.weights) == late.MOST_TOKENS
    assert query.weights.min() >= 0


def test_common_pieces_are_dropped_but_never_all():
    tokens, pieces = passages()
    common = [np.where(np.arange(24) < 12, 7, ids).astype(np.int32) for ids in pieces]
    codec = Codec.train(tokens, common, form=Form(dims=16, subspaces=8, common=0.5))
    assert len(codec.encode(tokens[:1], common[:1])[0]) == 12 * codec.width
    assert len(codec.encode(tokens[:1], [np.full(24, 7, np.int32)])[0]) == 24 * codec.width


def test_pairs_are_told_by_what_stands_side_by_side(codec):
    tokens, pieces = passages()
    order = np.array([0, 5, 1, 6, 2, 7, 3, 8])
    together, apart = np.arange(4), order[:7]  # the query's tokens as they stand, and with others between
    shown = [(tokens[0][rows], pieces[0][rows]) for rows in (together, together[::-1], apart)]
    codes = codec.encode(*zip(*shown, strict=True))
    found = late.maxsim(codec, late.prepare(codec, tokens[0][:4], pieces[0][:4]), codes)
    assert found.idf.max() - found.idf.min() < 1e-5
    assert abs(found.pairs[0] - found.pairs[1]) < 1e-5
    assert found.pairs[2] < found.pairs[0] - 0.2


def test_pairs_agree_with_a_count_one_passage_at_a_time(codec):
    tokens, pieces = passages()
    lengths = (24, 1, 3, 0, 9)
    codes = codec.encode(
        [tokens[at][:length] for at, length in enumerate(lengths)],
        [pieces[at][:length] for at, length in enumerate(lengths)],
    )
    query = late.prepare(codec, tokens[7][:5], pieces[7][:5])
    found = late.maxsim(codec, query, codes)
    shares = (query.weights[:-1] + query.weights[1:]) / (query.weights[:-1] + query.weights[1:]).sum()
    for at, code in enumerate(codes):
        rows = [code[first : first + codec.width] for first in range(0, len(code), codec.width)]
        each = late.maxsim(codec, query, rows).similarities if rows else np.zeros((0, 5))
        meetings = [
            max((max(a[i] + b[i + 1], b[i] + a[i + 1]) for a, b in pairwise(each)), default=0) / 2
            for i in range(4)
        ]
        expected = float(np.power(meetings, 3) @ shares) if rows else float("nan")
        assert found.pairs[at] == pytest.approx(expected, abs=1e-6, nan_ok=True)


def test_pairs_leave_out_what_most_passages_hold():
    tokens, pieces = passages()
    common = [np.where(np.arange(24) % 2 == 1, 7, ids).astype(np.int32) for ids in pieces]
    codec = Codec.train(tokens, common, form=Form(dims=16, subspaces=8, common=0.5))
    codes = codec.encode(tokens[:3], common[:3])
    whole = late.maxsim(codec, late.prepare(codec, tokens[0][:8], common[0][:8]), codes)
    rare = late.maxsim(codec, late.prepare(codec, tokens[0][:8:2], common[0][:8:2]), codes)
    assert np.allclose(whole.pairs, rare.pairs, atol=1e-6)  # the rare ones stand side by side in codes too
    assert whole.similarities.shape[1] == 8
    assert not np.allclose(whole.plain, rare.plain)
    only = late.maxsim(codec, late.prepare(codec, tokens[0][1:8:2], common[0][1:8:2]), codes)
    assert np.isfinite(only.pairs).all()  # all where nothing would be left


def test_a_query_of_one_token_is_its_own_pair(codec):
    tokens, pieces = passages()
    found = late.maxsim(
        codec, late.prepare(codec, tokens[0][:1], pieces[0][:1]), codec.encode(tokens[:3], pieces[:3])
    )
    assert np.allclose(found.pairs, np.maximum(found.plain, 0) ** 3)


def test_a_damaged_code_or_codec_is_named(codec):
    tokens, pieces = passages()
    query = late.prepare(codec, tokens[0][:4], pieces[0][:4])
    with pytest.raises(CorruptError, match="multiple"):
        late.maxsim(codec, query, [codec.encode(tokens[:1], pieces[:1])[0][:-1]])
    data = codec.to_bytes()
    for damaged in (b"", data[:-9], b"x" * 40):
        with pytest.raises(CorruptError):
            Codec.from_bytes(damaged)


def test_a_code_of_another_codec_is_named(codec):
    tokens, pieces = passages()
    one = Codec.train(tokens[:1], pieces[:1])
    foreign = codec.encode(tokens, pieces)
    with pytest.raises(CorruptError, match="word piece"):
        one.decode(foreign)


def test_a_piece_never_seen_is_coded_by_what_it_is(codec):
    tokens, _ = passages()
    strange = np.full(24, 9_999, np.int32)
    codes = codec.encode(tokens[:1], [strange])
    query = late.prepare(codec, tokens[0], strange)
    assert late.maxsim(codec, query, codes).plain[0] > 0.5


def test_no_tokens_at_all_cannot_train():
    with pytest.raises(InputError):
        Codec.train([np.empty((0, 8), np.float32)], [np.empty(0, np.int32)])


def test_candidates_take_linear_time():
    tokens, pieces = passages(128, dims=384, length=200)
    codec = Codec.train(tokens[:10], pieces[:10])
    codes = codec.encode(tokens, pieces)
    query = late.prepare(codec, tokens[0][:32], pieces[0][:32])
    assert_linear(lambda count: late.maxsim(codec, query, codes[:count]), len(codes))
