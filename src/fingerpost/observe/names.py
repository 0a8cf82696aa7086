"""The one place where stages, counts and reasons get the names that others know them by.

Spans follow OpenTelemetry's semantic conventions for generative AI, *Retrievals*, as of v0.1.0 of
open-telemetry/semantic-conventions-genai (all of them still "in development", so they may change: here and
nowhere else). Metrics follow Prometheus: base units, ``_total`` for counters.
"""

from __future__ import annotations

from collections.abc import Mapping

PROVIDER = "fingerpost"
STAGES = ("encode", "route", "retrieve", "rerank", "spans", "ground")
"""The stages in the order in which they run; trace, span, metric and report use these words."""

OPERATIONS: Mapping[str, str] = {"search": "retrieval", "ask": "invoke_workflow"}
"""Our verbs → ``gen_ai.operation.name``. An answer is a retrieval and what is made of it."""

OPERATION_NAME = "gen_ai.operation.name"
PROVIDER_NAME = "gen_ai.provider.name"
DATA_SOURCE = "gen_ai.data_source.id"
TOP_K = "gen_ai.retrieval.top_k"
QUERY_TEXT = "gen_ai.retrieval.query.text"
DOCUMENTS = "gen_ai.retrieval.documents"
ERROR_TYPE = "error.type"

OWN = "fingerpost."
GENERATION = OWN + "generation"
PLAN = OWN + "plan"
RESULTS = OWN + "results"
REFUSED = OWN + "refused"
NOTE = OWN + "note"

METRICS: Mapping[str, str] = {
    "fingerpost_searches": "searches and answers that ended well, by operation",
    "fingerpost_operation_seconds": "how long they took, by operation",
    "fingerpost_stage_seconds": "how long each stage of them took",
    "fingerpost_errors": "searches and answers that failed, by error code",
    "fingerpost_fallbacks": "searches that could not go the planned way, by reason",
    "fingerpost_refusals": "questions that were refused an answer",
    "fingerpost_audits": "routed searches that were also run in full",
    "fingerpost_audit_recall": "share of the exhaustive best hits that the audited searches had too",
    "fingerpost_fresh_chunks": "chunks newer than the last fold",
    "fingerpost_chunks": "chunks that can be found",
    "fingerpost_freshness_lag_seconds": "how long writes took since the index was made, by step reached",
    "fingerpost_freshness_waiting": "changes that have not reached a step yet, by step",
    "fingerpost_generation": "number of the published generation",
}
"""Metric → what it counts; counters get ``_total`` when they are written."""

_FALLBACKS: Mapping[str, str] = {
    "lexical only": "no_encoder",
    "strict isolation": "strict_isolation",
    "nothing is folded": "not_folded",
    "audits found": "audits",
    "routing starts at": "small_index",
    "one leaf": "one_leaf",
    "would need": "too_wide",
    "unlike the queries": "unfamiliar",
    "asked for": "asked_for",
}


def fallback(reason: str) -> str:
    """The label of a plan's reason, "" for a routed search. Few words, so that they can be labels.

    >>> fallback("full search: unlike the queries calibrated on (0.20 < 0.31)")
    'unfamiliar'
    >>> fallback("optimist: 12 of 300 leaves, 4.0% of the chunks")
    ''
    """
    for words, label in _FALLBACKS.items():
        if words in reason:
            return label
    return "other" if reason.startswith("full search") else ""
