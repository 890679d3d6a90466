"""fast-plaid on an archive, run by the Python of an environment of its own, because it pins torch.

    python fast_plaid_peer.py ARCHIVE.npz FULL_SCORES

The archive holds `rows`, `offsets`, `queries` and `query_offsets`. Prints one JSON object: version, the ten best
volumes and the CPU time of each query, and what plain blocked numpy takes in this same process, so that the two
processes can be compared.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))
from plain_numpy import plain_scores


def main(archive: str, n_full_scores: int) -> None:
    import torch
    from fast_plaid import search

    torch.set_num_threads(1)
    with np.load(archive) as arrays:
        rows, offsets = arrays["rows"], arrays["offsets"]
        queries = np.split(arrays["queries"], arrays["query_offsets"][1:-1])
    documents = [torch.from_numpy(rows[a:b]) for a, b in pairwise(offsets)]
    with tempfile.TemporaryDirectory() as folder:
        index = search.FastPlaid(index=folder, device="cpu")
        started = time.process_time()
        index.create(documents_embeddings=documents)
        built = time.process_time() - started
        found, seconds, plain = [], [], []
        for query in queries:
            tensor = torch.from_numpy(query)[None]
            plain.append(_seconds(lambda query=query: plain_scores(query, rows, offsets))[0])
            taken, result = _seconds(
                lambda tensor=tensor: index.search(tensor, top_k=10, n_full_scores=n_full_scores, show_progress=False)
            )
            seconds.append(taken)
            found.append([int(volume) for volume, _score in result[0]])
    told = {
        "version": version("fast-plaid"),
        "found": found,
        "seconds": seconds,
        "plain": plain,
        "build_seconds": built,
    }
    print(json.dumps(told))


def _seconds(call):
    started = time.process_time()
    result = call()
    return time.process_time() - started, result


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
