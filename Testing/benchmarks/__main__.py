"""All benchmarks, one after another: `make benchmark`, or in Testing: `python -m benchmarks [options of search]`.

The last one builds stores of up to 100,000 volumes, 14 GB in build/benchmark/growth, and uses them again the next time.
Each runs in a process of its own, because how many threads numpy and the peers use is settled when they are loaded.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_FOLDER = Path(__file__).resolve().parent

_OTHERS = (
    "benchmark_embedding.py",
    "benchmark_default_encoder.py",
    "benchmark_store.py",
    "benchmark_cluster.py",
    "benchmark_held_stores.py",
    "benchmark_growth.py",
)


def main() -> int:
    """0 if every benchmark ran to its end. Options are those of benchmark_search.py, and --help shows them."""
    options = sys.argv[1:]
    codes = [subprocess.call([sys.executable, str(_FOLDER / "benchmark_search.py"), *options])]
    if not {"-h", "--help"} & set(options):
        for name in _OTHERS:
            print(f"\n# {name}\n", flush=True)
            codes.append(subprocess.call([sys.executable, str(_FOLDER / name)]))
    return max(codes)


if __name__ == "__main__":
    sys.exit(main())
