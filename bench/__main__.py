"""Run every benchmark: ``python -m bench`` (or one: ``python -m bench.quality``)."""

from __future__ import annotations

import runpy
from pathlib import Path

HERE = Path(__file__).parent
SHARED = {"__init__", "__main__", "common", "promises", "prove"}

if __name__ == "__main__":
    for script in sorted(HERE.glob("*.py")):
        if script.stem not in SHARED:
            print(f"\n## {script.stem}\n", flush=True)
            runpy.run_module(f"bench.{script.stem}", run_name="__main__")
