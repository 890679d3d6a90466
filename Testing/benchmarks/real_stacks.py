"""Embeddings of the shared volumes, made by the engine itself and kept for the next run."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from VolumeRetrievalEngine.encoders.request import EncoderRequest
from VolumeRetrievalEngine.retriever import Retriever
from VolumeRetrievalEngine.store import VolumeStore
from VolumeRetrievalEngine.store.folder import StoreFolder

#: How the shared network takes its input (its README).
_NETWORK_INPUT = {"name": "mobilenet_v2", "input_size": 224, "value_range": [-1, 1], "channels": "rgb"}
_NETWORK_FILE = "mobilenet_v2_imagenet.torchscript.pt"


def real_embeddings(shared: Path, work: Path, encoder: str) -> tuple[np.ndarray, np.ndarray]:
    """float32 [N, d] embeddings of all shared volumes by "descriptor" or "torchscript", and offsets int64 [V + 1].

    Args:
        shared: the folder with data/ and weights/.
        work: where the store is kept; a second run only looks whether files have changed.
    """
    work.mkdir(parents=True, exist_ok=True)
    weights = _described_network(shared, work) if encoder == "torchscript" else None
    Retriever.create(work / "store", EncoderRequest(encoder, weights)).add([shared / "data"], exclude=["*/labels/*"])
    with VolumeStore.open(StoreFolder(work / "store").last_used()) as store:
        return store.many_embeddings([record.key for record in store.listing()])


def _described_network(shared: Path, work: Path) -> Path:
    """A JSON that names the shared network, which lies where nothing can be written."""
    described = work / "mobilenet_v2.json"
    values = {**_NETWORK_INPUT, "file": str((shared / "weights" / _NETWORK_FILE).resolve())}
    described.write_text(json.dumps(values), encoding="utf-8")
    return described
