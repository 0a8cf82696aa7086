"""Hostile configuration: every row of the list of hostile inputs of kind config that has a meaning here.

The rest (servers, clusters, logs) stands in docs/limits.md under Config, with its reason.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import fingerpost
from fingerpost import config
from fingerpost.cli.environment import strangers
from fingerpost.cli.settings_text import entries
from fingerpost.errors import ConfigError, FingerpostError
from fingerpost.models.llm import load_llm

TEXTS = [
    (
        "Co07",
        "[compile]\nchunk_tokenz = 3",
        "unknown key 'compile.chunk_tokenz'",
        "did you mean 'compile.chunk_tokens'?",
    ),
    ("Co07", "[rerank]\nshort = 0.4", "unknown key 'rerank.short'", "rerank.unread took its place"),
    ("Co08", "acl_enforce = true", "unknown key 'acl_enforce'", ""),
    ("Co08", "[mask]\nenable = false", "unknown key 'mask.enable'", "did you mean 'mask.enabled'?"),
    ("Co09", "effort = 1\neffort = 2", "not valid TOML", ""),
    ("Co09", "[mask]\n[mask]", "not valid TOML", ""),
    ("Co15", "[compile]\nthreads = -1", "compile.threads = -1", ""),
    ("Co15", "[compile]\nthreads = 10000", "compile.threads = 10000", ""),
    ("Co16", "[compile]\nparser_memory_mb = 16", "greater than or equal to 128", ""),
    ("Co17", "[retrieve]\ndepth = 1000000", "less than or equal to 10000", ""),
    ("Co18", "[llm]\ntimeout_seconds = 1e12", "less than or equal to 600", ""),
    ("Co14", "[store]\nfold_after = 0", "greater than or equal to 1", ""),
    ("Co12", 'durability = "maybe"', "unknown key 'durability'", ""),
    ("Co13", '[store]\nfsync = "off"', "unknown key 'store.fsync'", ""),
    ("Co22", '[llm]\nkey = "sk-secret"', "unknown key 'llm.key'", ""),
    ("Co22", '[llm]\nkey_env = "sk-secret-1"', "llm.key_env = …", ""),
    ("Co33", 'include = "../secret.toml"', "unknown key 'include'", ""),
    ("Co36", "a: !!python/object/apply:os.system [id]", "not valid TOML", ""),
    ("Co37", "effort = 1979-05-27", "effort = datetime.date(1979, 5, 27)", ""),
    ("Co37", "[ground]\nsupport = inf", "finite number", ""),
    ("Co37", "[ground]\nsupport = nan", "finite number", ""),
    ("Co37", '[mask]\nrules = ["key", 1]', "mask.rules.1 = 1", ""),
    ("Co37", '[mask]\nrules = ["key", ["key"]]', "mask.rules.1", ""),
    ("Co38", '[mask]\npattern = "(a+)+$"', "unknown key 'mask.pattern'", ""),
    ("Co39", '[mask]\nrules = ["everything"]', "'key', 'email'", ""),
    ("Co11", "effort = 1" + "0" * 5000, "not valid TOML", ""),
    ("Co10", "mask = 3", "mask = 3", ""),
    ("Co10", "[[mask]]\nenabled = true", "mask = ", ""),
    ("Co34", "a = " + "[" * 5000, "not valid TOML", ""),
]


@pytest.mark.parametrize(("row", "text", "message", "cure"), TEXTS)
def test_text_that_is_refused(row: str, text: str, message: str, cure: str) -> None:
    with pytest.raises(ConfigError) as told:
        config.parse(text)
    assert message in told.value.message
    assert cure in told.value.cure
    assert told.value.exit_status == 3
    assert "sk-secret" not in str(told.value)
    assert len(str(told.value)) < 400


WRONG: dict[type, list[object]] = {
    bool: ["true", 1, 0.5, ["a"], {}],
    int: ["3", True, 1.5, [3], {}],
    float: ["0.5", True, [0.5], {}],
    str: [3, True, 0.5, ["a"], {}],
    tuple: ["key", 3, True, {}],
}


def _typed() -> Iterator[tuple[str, str, object]]:
    for entry in entries():
        for value in WRONG[type(entry.default)]:
            yield entry.section, entry.key, value


def _written(section: str, key: str, value: object) -> str:
    shown = "{}" if value == {} else json.dumps(value)
    return f"{f'[{section}]' if section else ''}\n{key} = {shown}"


@pytest.mark.parametrize(("section", "key", "value"), list(_typed()))
def test_co10_the_wrong_type_in_each_key(section: str, key: str, value: object) -> None:
    with pytest.raises(ConfigError) as told:
        config.parse(_written(section, key, value))
    assert told.value.code == "E_CONFIG_KEY"
    assert f"{section}.{key}".lstrip(".") in told.value.message


NUMBERS = [(each.section, each.key) for each in entries() if type(each.default) in (int, float)]


@pytest.mark.parametrize(("section", "key"), NUMBERS)
def test_co11_negative_and_huge_numbers(section: str, key: str) -> None:
    """Negative numbers are refused for every key; a huge one is refused where the key has an upper bound."""
    with pytest.raises(ConfigError, match="greater than"):
        config.parse(_written(section, key, -1))
    bounded = next(each for each in entries() if (each.section, each.key) == (section, key))
    if "≤" in bounded.allowed:
        with pytest.raises(ConfigError, match="less than or equal"):
            config.parse(_written(section, key, 10**12))


def test_co02_an_empty_file_is_the_defaults() -> None:
    assert config.parse("") == config.Settings()


@pytest.mark.parametrize(
    ("row", "data", "status"),
    [
        ("Co04", b"\x7fELF\x02\x01\x01\x00\xff\xfe", 3),
        ("Co06", "effort = 2".encode("utf-16"), 3),
        ("Co06", b"\xef\xbb\xbfeffort = 2", 0),
        ("Co02", b"", 0),
        ("Co05", b"# " + b"x" * 1_100_000, 3),
    ],
)
def test_files_as_bytes(row: str, data: bytes, status: int, tmp_path: Path) -> None:
    path = tmp_path / "f.toml"
    path.write_bytes(data)
    if not status:
        config.load(path)
        return
    with pytest.raises(ConfigError, match=str(path)) as told:
        config.load(path)
    assert told.value.exit_status == status


def test_co05_a_gigabyte_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "big.toml"
    with path.open("wb") as out:
        out.truncate(1 << 30)  # sparse: reading it would take a gigabyte of memory
    with pytest.raises(ConfigError, match="larger than 1 MB"):
        config.load(path)


@pytest.mark.parametrize("name", ["missing.toml", "."])
def test_co01_co03_missing_or_a_folder(name: str, tmp_path: Path) -> None:
    with pytest.raises(FingerpostError) as told:
        config.load(tmp_path / name)
    assert told.value.exit_status == 2
    assert str(tmp_path) in told.value.message


@pytest.mark.parametrize("name", ["with space", "ünï", "new\nline", "~", "$HOME"])
def test_co35_odd_paths_are_taken_as_they_are(name: str, tmp_path: Path) -> None:
    path = tmp_path / name / "f.toml"
    path.parent.mkdir()
    path.write_text("effort = 2")
    assert config.load(path).effort == 2


def test_co34_nothing_is_expanded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A", "${A}")
    assert config.parse('[models]\nencoder = "${A}"').models.encoder == "${A}"


def test_co32_variables_that_look_like_ours_are_named() -> None:
    assert strangers(["fingerpost_debug", "FINGERPOST_DEBUGG"]) == [
        ("fingerpost_debug", "FINGERPOST_DEBUG"),
        ("FINGERPOST_DEBUGG", "FINGERPOST_DEBUG"),
    ]


def test_co32_they_are_told_on_stderr(tmp_path: Path) -> None:
    done = _run(["--version"], {"Fingerpost_Debug": "1"}, tmp_path)
    assert "Fingerpost_Debug is not read; did you mean FINGERPOST_DEBUG?" in done.stderr.decode()


@pytest.mark.parametrize(
    "locale",
    [
        {"LC_ALL": "C"},
        {"LC_ALL": "tr_TR.UTF-8"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"},
        {"TZ": "Asia/Kathmandu"},
    ],
)
def test_co55_locale_and_time_zone_change_no_byte(locale: dict[str, str], tmp_path: Path) -> None:
    plain = _run(["init", "/dev/stdout", "--force"], {}, tmp_path)
    odd = _run(["init", "/dev/stdout", "--force"], locale, tmp_path)
    assert plain.returncode == odd.returncode == 0
    assert plain.stdout == odd.stdout
    assert plain.stdout


def test_co59_no_home_and_no_tmpdir(tmp_path: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if key not in ("HOME", "TMPDIR")}
    done = subprocess.run(
        [sys.executable, "-m", "fingerpost.cli", "init", str(tmp_path / "f.toml")],
        env={**environment, "TMPDIR": "/nonexistent"},
        capture_output=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr


def _run(
    arguments: list[str], environment: dict[str, str], folder: Path
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "fingerpost.cli", *arguments],
        env={**os.environ, **environment},
        cwd=folder,
        capture_output=True,
        check=False,
        timeout=300,
    )


def test_co25_co29_index_folders(tiny_kb: Path, tmp_path: Path) -> None:
    """A missing folder is named; a link is followed; `/` is refused in tests/cli/test_sources.py."""
    done = _run(["search", "key", "--at", str(tmp_path / "missing")], {}, tmp_path)
    assert done.returncode == 4
    assert str(tmp_path / "missing") in done.stderr.decode()
    (tmp_path / "link").symlink_to(tiny_kb)
    with fingerpost.open(tmp_path / "link") as index:
        assert index.search("key", k=1)


def test_co25_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    done = _run(["compile", str(Path(__file__)), "--to", "/proc/kb"], {}, tmp_path)
    assert done.returncode == 1
    assert b"Traceback" not in done.stderr
    assert b"error E_" in done.stderr


HOLD = """
import sys, fingerpost
index = fingerpost.open(sys.argv[1], write=True)
print("held", flush=True)
sys.stdin.read()
"""


def test_co27_co28_a_second_writer_is_told_who_holds_it_and_a_dead_one_is_no_obstacle(own_kb: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(own_kb)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(FingerpostError) as told:
            fingerpost.open(own_kb, write=True)
        assert told.value.code == "E_LOCKED"
        assert str(holder.pid) in f"{told.value.message} {told.value.detail}"
        fingerpost.open(own_kb).close()  # readers are not kept out
        holder.kill()
        holder.wait(timeout=300)
    fingerpost.open(own_kb, write=True).close()


@pytest.mark.parametrize(
    ("row", "text", "code"),
    [
        ("Co40", "[mask]\nenabled = false", "E_FINGERPRINT"),
        ("Co42", '[models]\nencoder = "none"', "E_FINGERPRINT"),
        ("Co42", '[models]\npassage_prefix = "passage: "', "E_FINGERPRINT"),
        ("Co43", '[models]\nencoder = "/nonexistent"', "E_MODEL"),
        ("Co43", '[models]\nencoder = "https://models.example/m"', "E_MODEL"),
        ("Co46", '[rerank]\ncross_encoder = "/nonexistent"', "E_MODEL"),
    ],
)
def test_settings_that_do_not_fit_the_index(
    row: str, text: str, code: str, own_kb: Path, corpus: Path
) -> None:
    with pytest.raises(FingerpostError) as told:
        _used_with(config.parse(text), own_kb, corpus)
    assert told.value.code == code
    assert told.value.exit_status == 3


def _used_with(settings: config.Settings, kb: Path, corpus: Path) -> None:
    with fingerpost.open(kb, write=True, settings=settings) as index:
        index.search("key")
        index.update(str(corpus / "docs"))


@pytest.fixture
def words_kb(corpus: Path, tmp_path: Path) -> Path:
    """An index without a model, quick to make and to open."""
    settings = config.parse('[models]\nencoder = "none"')
    fingerpost.compile(str(corpus / "docs"), to=tmp_path / "words", settings=settings).close()
    return tmp_path / "words"


@pytest.mark.parametrize(("limit", "value"), [("-n", "16"), ("-v", "400000"), ("-f", "8")])
def test_co56_small_limits_of_the_system(limit: str, value: str, words_kb: Path, tmp_path: Path) -> None:
    """Whatever fails is told in a sentence, and the index is whole afterwards."""
    (tmp_path / "new.md").write_text("# New\n\nA new page.\n")
    command = f'ulimit {limit} {value}; "{sys.executable}" -m fingerpost.cli update new.md --at words'
    done = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, capture_output=True, check=False, timeout=300
    )
    assert b"Traceback" not in done.stderr
    assert done.returncode in (0, 1, 7), done.stderr
    assert done.returncode == 0 or b"error E_" in done.stderr or b"left out" in done.stderr
    with fingerpost.open(words_kb, write=True) as index:
        assert index.doctor() == []
        assert index.search("signing key")


def test_co57_nobody_else_may_enter_whatever_the_umask(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "fingerpost.toml").write_text('[models]\nencoder = "none"\n')
    command = f'umask 000; "{sys.executable}" -m fingerpost.cli compile "{corpus}/docs" --to kb'
    subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, check=True, timeout=300)
    assert (tmp_path / "kb").stat().st_mode & 0o077 == 0


PAIRS = [
    "[mask]\nenabled = false\n[store]\nlate = false",
    "[compile]\ncontext = false\n[mask]\nenabled = true\n[store]\nlate = true",
    '[models]\nencoder = "none"\n[store]\nlate = true\n[compile]\ncontext = false',
    '[models]\nencoder = "none"\n[store]\nlate = false\n[mask]\nenabled = false',
    "[rerank]\ndepth = 0\n[retrieve]\nhop = false\n[store]\nlate = true",
    "[route]\nfull_below = 0\naudit = 1.0\n[retrieve]\nhop = true\n[rerank]\nper_document = 1",
]


@pytest.mark.parametrize("text", PAIRS, ids=range(len(PAIRS)))
def test_co63_every_pair_of_switches_starts(text: str, corpus: Path, tmp_path: Path) -> None:
    settings = config.parse(text)
    with fingerpost.compile(str(corpus / "docs"), to=tmp_path / "kb", settings=settings) as index:
        assert index.search("signing key")[0].doc_id == "auth.md"
        assert not index.ask("How do I rotate the signing key?").refused


@pytest.mark.parametrize("name", ["MANIFEST"])
def test_co26_co65_an_index_of_a_newer_program_is_refused(name: str, own_kb: Path) -> None:
    manifest = json.loads((own_kb / name).read_text())
    (own_kb / name).write_text(json.dumps({**manifest, "format": manifest["format"] + 1}))
    with pytest.raises(FingerpostError, match=f"format {manifest['format'] + 1}") as told:
        fingerpost.open(own_kb)
    assert (told.value.code, told.value.exit_status) == ("E_FINGERPRINT", 3)


@pytest.mark.parametrize(
    ("row", "url"),
    [
        ("Co48", "http://llm.example.com/v1"),
        ("Co48", "http://10.0.0.1/v1"),
        ("Co22", "https://me:sk-secret@llm.example.com/v1"),
        ("Co47", "file:///etc/passwd"),
    ],
)
def test_addresses_of_a_language_model_that_are_refused(row: str, url: str) -> None:
    with pytest.raises(ConfigError) as told:
        load_llm(config.parse(f'[llm]\nurl = "{url}"').llm)
    assert "sk-secret" not in str(told.value)


def test_co23_a_key_that_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMPTY_KEY", "")
    with pytest.raises(ConfigError, match="EMPTY_KEY"):
        load_llm(config.parse('[llm]\nurl = "https://llm.example.com/v1"\nkey_env = "EMPTY_KEY"').llm)


def test_co47_nobody_answers_so_the_extractive_answer_stands_in(own_kb: Path) -> None:
    with socket.socket() as taken:  # bound and never listening: every connection is refused
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        settings = config.parse(f'[llm]\nurl = "{url}"\nmodel = "m"\ntimeout_seconds = 2.0')
        with fingerpost.open(own_kb, settings=settings) as index:
            answer = index.ask("How do I rotate the signing key?")
    assert not answer.refused
    assert "keys rotate" in answer.text


def test_co31_a_flag_wins_over_the_file(words_kb: Path, tmp_path: Path) -> None:
    (tmp_path / "fingerpost.toml").write_text("nonsense = 1\n")
    (tmp_path / "other.toml").write_text('[models]\nencoder = "none"\n')
    flagged = _run(["search", "key", "--at", "words", "--config", "other.toml", "-k", "1"], {}, tmp_path)
    assert flagged.returncode == 0, flagged.stderr
    plain = _run(["search", "key", "--at", "words"], {}, tmp_path)
    assert plain.returncode == 3
    assert b"settings from ./fingerpost.toml" in plain.stderr
