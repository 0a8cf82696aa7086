"""fingerpost.toml: one file, one settings tree, unknown keys are errors.

Sections bear the names of the rooms. ``effort`` (1 fastest … 5 best) sets coherent defaults; a key that is
written out wins over it. Each field's description is its documentation: ``fingerpost init`` writes the
file from this tree, and docs/reference/settings.md is generated from it.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from fingerpost.efforts import EFFORTS
from fingerpost.errors import ConfigError, UsageError

MAX_CONFIG_BYTES = 1_000_000
Unlabelled = Literal["visible", "until-labels", "hidden"]

RETIRED: Mapping[str, str] = {
    "rerank.short": "rerank.unread took its place",
    "store.unlabelled_visible": "store.unlabelled took its place",
}
"""Keys of earlier versions, and what took their place. Indexes made then still hold them."""


class Section(BaseModel):
    """A section of the file: unknown keys are errors, values never change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class CompileSettings(Section):
    """Reading, chunking and context."""

    chunk_tokens: Annotated[
        int, Field(ge=32, le=512, description="most word pieces in a chunk, context included")
    ] = 256
    min_chunk_tokens: Annotated[
        int, Field(ge=1, le=256, description="shorter pieces join their neighbour")
    ] = 48
    context: Annotated[bool, Field(description="put title › headings before chunks in the indexes")] = True
    metadata: Annotated[
        bool,
        Field(description="put short metadata before each chunk in the indexes too; needs context"),
    ] = True
    situate: Annotated[
        bool,
        Field(
            description="let the language model ([llm]) write a sentence on where each chunk stands in its "
            "document, and put that before the chunk in the indexes too"
        ),
    ] = False
    situate_tokens: Annotated[int, Field(ge=8, le=128, description="most word pieces of that sentence")] = 48
    situate_budget: Annotated[
        int,
        Field(ge=0, description="most input tokens a run may send for it; more is refused before the first"),
    ] = 5_000_000
    max_file_mb: Annotated[int, Field(ge=1, le=4096, description="larger files are left out, MB")] = 64
    parser_seconds: Annotated[int, Field(ge=1, le=3600, description="time limit for reading one file")] = 30
    parser_memory_mb: Annotated[
        int, Field(ge=128, le=16384, description="memory limit of the reading process")
    ] = 1024
    seed: Annotated[
        int, Field(ge=0, le=2**31 - 1, description="the same seed and input give the same bytes")
    ] = 0
    threads: Annotated[int, Field(ge=0, le=256, description="encoder threads; 0 = all cores")] = 0


class MaskSettings(Section):
    """What is masked before anything is stored, indexed or trained."""

    enabled: Annotated[bool, Field(description="mask secrets and personal data")] = True
    rules: Annotated[
        tuple[Literal["key", "email", "phone", "card", "iban"], ...],
        Field(description="which rules run"),
    ] = ("key", "email", "phone", "card", "iban")


class ModelSettings(Section):
    """The encoder."""

    encoder: Annotated[
        str,
        Field(description="'minilm' (from the registry package), 'none' (BM25 only), or a model folder"),
    ] = "minilm"
    sparse: Annotated[
        str,
        Field(description="folder of a learned sparse model (SPLADE, ONNX) for one more leg; empty = none"),
    ] = ""
    late: Annotated[
        str,
        Field(
            description="folder of a late-interaction model (ColBERT) for token vectors;"
            " empty = the encoder's own"
        ),
    ] = ""
    query_prefix: Annotated[str, Field(description="put before queries where the model wants it")] = ""
    passage_prefix: Annotated[str, Field(description="put before passages where the model wants it")] = ""


class RouteSettings(Section):
    """Where to look."""

    leaf_chunks: Annotated[int, Field(ge=16, le=4096, description="chunks a leaf aims at")] = 200
    full_below: Annotated[int, Field(ge=0, description="with fewer chunks everything is searched")] = 50_000
    budget: Annotated[
        float, Field(gt=0, le=1, description="share of the chunks that routed leaves may hold")
    ] = 0.05
    audit: Annotated[
        float, Field(ge=0, le=1, description="share of routed queries also searched in full")
    ] = 0.01
    recall: Annotated[
        float,
        Field(
            gt=0,
            le=1,
            description="recall, on average, that `learn` cuts the budget for and audits hold the router to",
        ),
    ] = 0.9


class StoreSettings(Section):
    """The evidence store."""

    late: Annotated[bool, Field(description="store token vectors for late interaction")] = True
    token_codes: Annotated[
        Literal["small", "fine"],
        Field(
            description="how a new index keeps token vectors: 'small' 10 bytes a word piece, 2 kB a chunk; "
            "'fine' in 30 bytes, 5 kB, by which late interaction alone ranks as by whole vectors"
        ),
    ] = "small"
    unlabelled: Annotated[
        Unlabelled,
        Field(description="who finds documents without labels: all, all until there are labels, or nobody"),
    ] = "until-labels"
    isolation: Annotated[
        Literal["shared", "strict"],
        Field(
            description="'strict' takes every statistic over what the asker may see: slower, nothing learned"
        ),
    ] = "shared"
    fold_after: Annotated[
        int,
        Field(
            ge=1,
            description="fresh chunks that trigger a fold into a new generation; beyond 16,000 chunks this "
            "grows with the root of their number: 5,000 of 100,000, 15,800 of a million",
        ),
    ] = 2_000


class RetrieveSettings(Section):
    """How much each leg brings."""

    depth: Annotated[int, Field(ge=1, le=10_000, description="chunks a leg brings")] = 100
    hop: Annotated[
        bool, Field(description="follow the neighbour graph from the best hits (routed search)")
    ] = True
    reason: Annotated[
        Literal["off", "rewrite", "decompose", "hypothetical"],
        Field(description="what the language model ([llm]) makes of a question, to search for that as well"),
    ] = "off"
    reason_queries: Annotated[int, Field(ge=1, le=8, description="most texts it may add to a question")] = 3
    reason_tokens: Annotated[int, Field(ge=16, le=4_096, description="most tokens of its reply")] = 400
    reason_seconds: Annotated[
        float, Field(gt=0, le=600, description="after this the question is searched as it is")
    ] = 5.0


class RerankSettings(Section):
    """How deep the candidates are looked at again."""

    depth: Annotated[int, Field(ge=0, le=1_000, description="candidates that late interaction scores")] = 100
    read: Annotated[int, Field(ge=0, le=1_000, description="candidates whose words are compared")] = 20
    skip: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            description="no second look where it would change the first result with less chance than this",
        ),
    ] = 0.1
    unread: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            description="words not read where, after late interaction, they would change it with less chance",
        ),
    ] = 0.15
    cross_encoder: Annotated[str, Field(description="folder of a cross-encoder (ONNX); empty = none")] = ""
    cross_depth: Annotated[int, Field(ge=0, le=200, description="candidates the cross-encoder scores")] = 20
    cross_seconds: Annotated[
        float, Field(gt=0, le=600, description="after this the order before the cross-encoder stands")
    ] = 5.0
    per_document: Annotated[
        int, Field(ge=1, le=100, description="most spans of one document in a result")
    ] = 3


class GroundSettings(Section):
    """Answers."""

    spans: Annotated[int, Field(ge=1, le=50, description="spans an answer may draw on")] = 8
    sentences: Annotated[int, Field(ge=1, le=20, description="most sentences of an extractive answer")] = 3
    support: Annotated[
        float, Field(ge=0, le=1, description="least support of a sentence before refusing")
    ] = 0.35
    confidence: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            description="least chance that the first result is right before refusing; known after `learn`",
        ),
    ] = 0.0


class LlmSettings(Section):
    """An OpenAI-compatible server, off unless ``url`` is set."""

    url: Annotated[
        str, Field(description="base URL, e.g. http://127.0.0.1:8080/v1; empty = extractive answers")
    ] = ""
    model: Annotated[str, Field(description="model name sent to the server")] = ""
    key_env: Annotated[
        str,
        Field(
            pattern=r"^(?:[A-Za-z_][A-Za-z0-9_]{0,127})?$",
            description="name of the environment variable that holds the key; never the key itself",
        ),
    ] = ""
    timeout_seconds: Annotated[
        float, Field(gt=0, le=600, description="after this the extractive answer stands in")
    ] = 30.0
    context_tokens: Annotated[
        int,
        Field(ge=2_048, le=4_000_000, description="tokens that prompt and reply may have on that server"),
    ] = 8_192
    at_once: Annotated[
        int, Field(ge=1, le=64, description="requests at the same time; 1 for a server with one slot")
    ] = 4


class ObserveSettings(Section):
    """What is told of searches and answers: all off by default, and nothing leaves the machine by itself."""

    metrics: Annotated[
        bool, Field(description="count for Prometheus, see Index.metrics (extra 'observe')")
    ] = False
    spans: Annotated[bool, Field(description="make OpenTelemetry spans (extra 'observe')")] = False
    content: Annotated[
        bool, Field(description="put the masked query and the ids of the results on spans")
    ] = False
    log_queries: Annotated[
        bool, Field(description="keep masked queries, their stages and clicks in the index folder")
    ] = False
    log_share: Annotated[float, Field(gt=0, le=1, description="share of the queries that are kept")] = 1.0
    log_mb: Annotated[
        int, Field(ge=1, le=10_000, description="size of the query log, MB; the oldest half goes first")
    ] = 64


class Settings(Section):
    """The whole tree."""

    effort: Annotated[int, Field(ge=1, le=5, description="1 fastest … 5 best")] = 3
    compile: CompileSettings = CompileSettings()
    mask: MaskSettings = MaskSettings()
    models: ModelSettings = ModelSettings()
    route: RouteSettings = RouteSettings()
    store: StoreSettings = StoreSettings()
    retrieve: RetrieveSettings = RetrieveSettings()
    rerank: RerankSettings = RerankSettings()
    ground: GroundSettings = GroundSettings()
    llm: LlmSettings = LlmSettings()
    observe: ObserveSettings = ObserveSettings()

    @model_validator(mode="after")
    def _late_is_used(self) -> Settings:
        """Nothing that is named is left unused."""
        if self.models.late and self.models.encoder == "none":
            raise ValueError("models.late needs an encoder to find candidates: set models.encoder")
        if self.models.late and not self.store.late:
            raise ValueError("models.late is named, but token vectors are off: set store.late = true")
        return self

    @model_validator(mode="before")
    @classmethod
    def _at_effort(cls, table: object) -> object:
        """The defaults of the effort asked for, under what is written out."""
        if not isinstance(table, dict) or not isinstance(table.get("effort"), int):
            return table
        defaults = EFFORTS.get(table["effort"], {})
        merged = {name: {**keys, **_table(table.get(name))} for name, keys in defaults.items()}
        usable = {name: keys for name, keys in merged.items() if isinstance(table.get(name, {}), dict)}
        return {**table, **usable}


def _table(section: object) -> dict[str, object]:
    return section if isinstance(section, dict) else {}


def load(path: Path | None = None) -> Settings:
    """Settings from a TOML file (defaults where ``path`` is None).

    Raises UsageError when the file is not there, ConfigError when it cannot be used.
    """
    return Settings() if path is None else parse(_read(path), name=str(path))


def parse(text: str, *, name: str = "fingerpost.toml") -> Settings:
    """Settings from TOML text.

    >>> parse("[compile]\\nchunk_tokens = 128").compile.chunk_tokens
    128
    >>> parse("effort = 5").retrieve.depth, parse("effort = 5\\n[retrieve]\\ndepth = 7").retrieve.depth
    (400, 7)
    """
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits is a plain ValueError
        raise ConfigError(
            "E_CONFIG", f"{name} is not valid TOML: {error}", cure="mend the line named"
        ) from error
    try:
        return Settings.model_validate(_tuples(table))
    except ValidationError as error:
        raise _key_error(error, name) from error


def stored(tree: Mapping[str, object]) -> Settings:
    """The settings an index was made with, from the tree it keeps; keys retired since are left out.

    >>> stored({"effort": 3, "rerank": {"short": 0.4, "depth": 50}}).rerank.depth
    50
    """
    kept = dict(tree)
    for section, _, retired in (name.partition(".") for name in RETIRED):
        kept[section] = {key: value for key, value in _table(kept.get(section)).items() if key != retired}
    return Settings.model_validate_json(json.dumps(kept), strict=False)


def _read(path: Path) -> str:
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise UsageError(
            "E_CONFIG", f"{path} {what}", cure="name a TOML file, or write one with `fingerpost init`"
        )
    if path.stat().st_size > MAX_CONFIG_BYTES:
        raise ConfigError("E_CONFIG", f"{path} is larger than 1 MB", cure="name a fingerpost.toml")
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError("E_CONFIG", f"{path} is not UTF-8 text", cure="save it as UTF-8") from error


def _tuples(table: object) -> object:
    """TOML arrays are lists; the tree holds tuples (frozen)."""
    if isinstance(table, dict):
        return {key: _tuples(value) for key, value in table.items()}
    return tuple(_tuples(item) for item in table) if isinstance(table, list) else table


def _key_error(error: ValidationError, name: str) -> ConfigError:
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        near = get_close_matches(key, known_keys(), n=1, cutoff=0.4)
        cure = f"did you mean '{near[0]}'?" if near else "see docs/reference/settings.md"
        cure = RETIRED.get(key, cure)
        return ConfigError("E_CONFIG_KEY", f"{name}: unknown key '{key}'", cure=cure, detail=key)
    if not key:  # two keys that do not go together
        message = first["msg"].removeprefix("Value error, ")
        key, _, cure = message.partition(": ")
        return ConfigError("E_CONFIG_KEY", f"{name}: {key}", cure=cure, detail=key)
    shown = "…" if key.startswith("llm.") else repr(first["input"])[:80]  # never echo a misplaced secret
    message = f"{name}: {key} = {shown}: {first['msg']}"
    return ConfigError("E_CONFIG_KEY", message, cure=f"give '{key}' an allowed value", detail=key)


def known_keys() -> list[str]:
    """Every key of the tree, dotted.

    >>> "compile.chunk_tokens" in known_keys()
    True
    """
    keys = ["effort"]
    for section, field in Settings.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            keys += [section, *(f"{section}.{key}" for key in field.annotation.model_fields)]
    return keys
