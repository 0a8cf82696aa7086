"""What the folder of a late-interaction model says: how texts are framed for it, and its projection.

Three layouts are read: PyLate's and sentence-transformers' (``modules.json``, ``1_Dense``; MultiVectorEncoder
since version 6), and that of the first ColBERT (``artifact.metadata``, the projection beside the network's
own weights). Khattab and Zaharia 2020, doi:10.1145/3397271.3401075.
"""

from __future__ import annotations

import json
import string
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fingerpost.errors import ModelError
from fingerpost.models import bert
from fingerpost.models.files import MAX_JSON_BYTES, Blob, check_folder, read, read_json

ONNX = ("model.onnx", "onnx/model.onnx")
SETTINGS = ("config_sentence_transformers.json", "onnx_config.json")
MARKED = ("query_prefix", "document_prefix", "do_query_expansion", "skiplist_words", "query_length")
QUERY_LENGTH, DOCUMENT_LENGTH = 32, 180
MOST_LENGTH = 65_536
IDENTITY = "torch.nn.modules.linear.Identity"

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Framing:
    """How a model wants its texts. Lengths are word pieces with the special ones; ``expand`` is the length to
    which a query is filled with ``mask`` (0: it is not), which the query's own pieces see where ``attend``
    holds; vectors of ``skip`` are no part of a passage.
    """

    query_prefix: str = ""
    document_prefix: str = ""
    document_length: int = DOCUMENT_LENGTH
    expand: int = 0
    attend: bool = False
    mask: str = "[MASK]"
    skip: tuple[str, ...] = ()

    @property
    def prefixes(self) -> tuple[str, str]:
        """Before queries, before passages."""
        return self.query_prefix, self.document_prefix


@dataclass(frozen=True, slots=True)
class Projection:
    """From the network's states to token vectors: ``states @ weight + bias``; weight [hidden, dim]."""

    weight: Array
    bias: Array

    @property
    def sha256(self) -> str:
        """The digest of its numbers."""
        shape = str(self.weight.shape).encode()
        return sha256(shape + self.weight.tobytes() + self.bias.tobytes()).hexdigest()

    def then(self, other: Projection) -> Projection:
        """Both, one after the other, as one."""
        return Projection(self.weight @ other.weight, self.bias @ other.weight + other.bias)


@dataclass(frozen=True, slots=True)
class Parts:
    """An opened model folder. ``onnx`` or ``weights`` is the network, the other is None."""

    config: Mapping[str, Any]
    framing: Framing
    projection: Projection | None
    onnx: Blob | None
    weights: Blob | None
    tokenizer: Blob


def open_folder(folder: Path) -> Parts:
    """Read a late-interaction model. Raises ModelError E_MODEL that names the file or the key at fault."""
    check_folder(folder)
    config = read_json(folder / "config.json")
    found = next((folder / name for name in ONNX if (folder / name).is_file()), None)
    whole = folder / "model.safetensors"
    if found is not None and (config.get("model_type") != "bert" or not whole.exists()):
        onnx, weights = read(found), None
    else:
        onnx, weights = None, read(whole)
    return Parts(
        config=config,
        framing=read_framing(folder),
        projection=_dense(folder) or (None if weights is None else _inline(weights)),
        onnx=onnx,
        weights=weights,
        tokenizer=read(folder / "tokenizer.json", limit=MAX_JSON_BYTES),
    )


def read_framing(folder: Path) -> Framing:
    """The framing that the folder asks for, in whichever layout it is written."""
    said: dict[str, Any] = {}
    for name in reversed(SETTINGS):
        said |= read_json(folder / name)
    first = read_json(folder / "artifact.metadata")
    if first:
        return _first_colbert(first)
    if said.get("model_type") == "MultiVectorEncoder":
        return _sentence_transformers(folder, said)
    if said.get("model_type") == "ColBERT" or any(key in said for key in MARKED):
        return _pylate(said)
    raise _refuse(
        f"{folder} does not say how a late-interaction model frames its texts",
        "keep the config_sentence_transformers.json (PyLate, MultiVectorEncoder) or artifact.metadata"
        " (ColBERT) that came with the model",
    )


def _pylate(said: Mapping[str, Any]) -> Framing:
    expand = _flag(said, "do_query_expansion", True)
    length = _length(said, "query_length", QUERY_LENGTH)
    return Framing(
        query_prefix=_text(said, "query_prefix", "[Q] ") + _prompt(said, "query"),
        document_prefix=_text(said, "document_prefix", "[D] ") + _prompt(said, "document"),
        document_length=_length(said, "document_length", DOCUMENT_LENGTH),
        expand=length if expand else 0,
        attend=expand and _flag(said, "attend_to_expansion_tokens", False),
        skip=_words(said, tuple(string.punctuation)),
    )


def _sentence_transformers(folder: Path, said: Mapping[str, Any]) -> Framing:
    own = read_json(folder / "sentence_bert_config.json")
    grown = own.get("query_expansion") or {}
    if not isinstance(grown, dict):
        raise _refuse(f"sentence_bert_config.json: query_expansion = {grown!r}", "fetch the model again")
    masks = [path for kind, path in modules(folder) if kind == "MultiVectorMask"]
    mask = read_json(folder / masks[0] / "config.json") if masks else {}
    if mask.get("keep_only_token_ids") or mask.get("skiplist_tasks", ["document"]) != ["document"]:
        raise _refuse(
            f"{masks[0]}/config.json keeps only some word pieces, or skips them in queries",
            "use a model for texts, whose skip list is for documents",
        )
    return Framing(
        query_prefix=_prompt(said, "query"),
        document_prefix=_prompt(said, "document"),
        document_length=_length(own, "document_length", MOST_LENGTH),
        expand=_length(grown, "length", QUERY_LENGTH) if grown else 0,
        attend=_flag(grown, "attend", False),
        mask=_text(grown, "token", "[MASK]"),
        skip=_words(mask, ()),
    )


def _first_colbert(said: Mapping[str, Any]) -> Framing:
    return Framing(
        query_prefix=_text(said, "query_token_id", "[unused0]"),
        document_prefix=_text(said, "doc_token_id", "[unused1]"),
        document_length=_length(said, "doc_maxlen", DOCUMENT_LENGTH),
        expand=_length(said, "query_maxlen", QUERY_LENGTH),
        attend=_flag(said, "attend_to_mask_tokens", False),
        skip=tuple(string.punctuation) if _flag(said, "mask_punctuation", True) else (),
    )


def modules(folder: Path) -> list[tuple[str, str]]:
    """The modules that modules.json lists: class name and subfolder, in their order."""
    path = folder / "modules.json"
    if not path.exists():
        return [("Dense", "1_Dense")] if (folder / "1_Dense").is_dir() else []
    try:
        listed = json.loads(read(path, limit=MAX_JSON_BYTES).data)
        found = [(str(one["type"]).rsplit(".", 1)[-1], str(one["path"])) for one in listed]
    except (ValueError, RecursionError, KeyError, TypeError) as error:
        raise _refuse("modules.json is not a list of modules", "fetch the model again") from error
    for _, name in found:
        if name not in ("", Path(name).name) or name == "..":
            raise _refuse(f"modules.json names the folder {name!r}", "name a folder inside the model's own")
    return found


def _dense(folder: Path) -> Projection | None:
    """All Dense modules as one projection."""
    whole: Projection | None = None
    for kind, name in modules(folder):
        if kind == "Dense":
            part = _layer(folder / name)
            if whole is not None and whole.weight.shape[1] != part.weight.shape[0]:
                widths = f"{whole.weight.shape[1]} dimensions, {name} reads {part.weight.shape[0]}"
                raise _refuse(f"the module before {name} gives {widths}", "fetch the model again")
            whole = part if whole is None else whole.then(part)
    return whole


def _layer(folder: Path) -> Projection:
    config = read_json(folder / "config.json")
    inputs, outputs = (_length(config, key, 0) for key in ("in_features", "out_features"))
    if config.get("activation_function") != IDENTITY or config.get("use_residual"):
        raise _refuse(
            f"{folder.name} is not a plain projection: {config.get('activation_function')}, residual "
            f"{bool(config.get('use_residual'))}",
            "export the whole model to ONNX, without a Dense module beside it",
        )
    tensors = bert.read_tensors(read(folder / "model.safetensors"))
    weight = bert.take(tensors, "linear.weight", outputs, inputs)
    biased = "linear.bias" in tensors
    bias = bert.take(tensors, "linear.bias", outputs) if biased else np.zeros(outputs, np.float32)
    return Projection(np.ascontiguousarray(weight.T), bias)


def _inline(weights: Blob) -> Projection | None:
    """The projection of a first ColBERT, which lies beside the network's weights."""
    tensors = bert.read_tensors(weights)
    if "linear.weight" not in tensors:
        return None
    weight = bert.take(tensors, "linear.weight", None, None)
    return Projection(np.ascontiguousarray(weight.T), np.zeros(len(weight), np.float32))


def _text(said: Mapping[str, Any], key: str, default: str) -> str:
    value = said.get(key)
    if value is not None and not isinstance(value, str):
        raise _refuse(f"{key} = {value!r} is not a text", "fetch the model again")
    return default if value is None else value


def _flag(said: Mapping[str, Any], key: str, default: bool) -> bool:
    value = said.get(key)
    if value is not None and not isinstance(value, bool):
        raise _refuse(f"{key} = {value!r} is neither true nor false", "fetch the model again")
    return default if value is None else value


def _length(said: Mapping[str, Any], key: str, default: int) -> int:
    value = said.get(key, default)
    value = default if value is None else value
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MOST_LENGTH:
        raise _refuse(f"{key} = {value!r}; 1 to {MOST_LENGTH:,} is allowed", "fetch the model again")
    return value


def _words(said: Mapping[str, Any], default: tuple[str, ...]) -> tuple[str, ...]:
    value = said.get("skiplist_words")
    if value is None:
        return default
    if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
        raise _refuse("skiplist_words is not a list of words", "fetch the model again")
    return tuple(value)


def _prompt(said: Mapping[str, Any], key: str) -> str:
    prompts = said.get("prompts") or {}
    return _text(prompts, key, "") if isinstance(prompts, dict) else ""


def _refuse(message: str, cure: str) -> ModelError:
    return ModelError("E_MODEL", message, cure=cure)
