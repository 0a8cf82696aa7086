"""Nothing is sent anywhere, nor kept to be sent: neither by us nor by what we load."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fingerpost.models import cache

SEARCH = "import sys, time, fingerpost; fingerpost.open(sys.argv[1]).search('signing key'); time.sleep(4)"


def test_a_search_leaves_nothing_at_home(tiny_kb: Path, tmp_path: Path) -> None:
    """onnxruntime made an id of the machine and a database of events there."""
    told = {"HOME": str(tmp_path), "FINGERPOST_CACHE": str(cache.folder()), "PATH": os.environ["PATH"]}
    subprocess.run([sys.executable, "-c", SEARCH, str(tiny_kb)], check=True, env=told, timeout=300)
    assert list(tmp_path.rglob("*")) == []


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_a_search_opens_no_connection(tiny_kb: Path, tmp_path: Path) -> None:
    """It used to look a host up and speak to it, in threads of onnxruntime's."""
    record = tmp_path / "calls"
    watched = ["strace", "-f", "-e", "trace=socket,connect,sendto", "-o", str(record)]
    told = {"HOME": str(tmp_path), "FINGERPOST_CACHE": str(cache.folder()), "PATH": os.environ["PATH"]}
    command = [*watched, sys.executable, "-c", SEARCH, str(tiny_kb)]
    subprocess.run(command, check=True, env=told, timeout=300)
    calls = record.read_text().splitlines()
    assert any("exited with 0" in call for call in calls)
    assert [call for call in calls if re.search(r"AF_INET|sin_addr|sin6_addr", call)] == []


def test_a_cache_that_may_not_be_looked_into_is_no_error(tmp_path: Path) -> None:
    """A search ended with it where HOME was somebody else's."""
    shut = tmp_path / "cache"
    shut.mkdir(mode=0o000)
    code = """if True:
        import os
        from fingerpost.models import cache
        if not os.getuid():
            os.setuid(65534)
        print(cache.get("a"), cache.put("a", cache.Built(b"", "int8")))
    """
    command, told = [sys.executable, "-c", code], {"FINGERPOST_CACHE": str(shut)}
    done = subprocess.run(command, env=told, capture_output=True, text=True, check=True, timeout=300)
    assert done.stdout.split() == ["None", "None"]
