"""The engines that search is compared with, each behind the same two questions."""

from __future__ import annotations

import shutil
import tempfile
from importlib.metadata import version

import numpy as np

from .stacks import SPACING_MM, StackSet

#: Peers that run in this process; fast-plaid pins torch and runs in an environment of its own (fast_plaid_peer.py).
PEERS = ("qdrant-edge-py", "qdrant-client", "lancedb")


class Peer:
    """A vector engine that holds one archive.

    `exact` ranks all volumes by late interaction; `cascade`, where the engine has it, by a two-stage search of its own.
    Both take a prepared query and return the indices of the ten best volumes: what preparing costs (lists instead of
    arrays) is not counted against the peer.
    """

    package = ""

    def __init__(self, archive: StackSet, pooled: tuple[np.ndarray, np.ndarray]):
        raise NotImplementedError

    @property
    def title(self) -> str:
        return f"{self.package} {version(self.package)}"

    def prepare(self, query: np.ndarray, pooled_query: np.ndarray) -> object:
        return query

    def exact(self, query: object) -> list[int]:
        raise NotImplementedError

    def close(self) -> None:
        pass


class QdrantEdge(Peer):
    """Qdrant as a library; its cascade is the one of ENGINES.md: pooled rows, 100 candidates, then full slices."""

    package = "qdrant-edge-py"

    def __init__(self, archive: StackSet, pooled: tuple[np.ndarray, np.ndarray]):
        import qdrant_edge as qdrant

        self._qdrant = qdrant
        self._folder = tempfile.mkdtemp()
        vector = qdrant.EdgeVectorParams(
            size=archive.rows.shape[1],
            distance=qdrant.Distance.Dot,
            multivector_config=qdrant.MultiVectorConfig(qdrant.MultiVectorComparator.MaxSim),
        )
        config = qdrant.EdgeConfig(vectors={"full": vector, "pooled": vector}, max_search_threads=1)
        self._shard = qdrant.EdgeShard.create(self._folder, config)
        rows, offsets = pooled
        for begin in range(0, len(archive), 100):
            points = [
                qdrant.Point(
                    v,
                    {"full": archive.volume(v).tolist(), "pooled": rows[offsets[v] : offsets[v + 1]].tolist()},
                    {},
                )
                for v in range(begin, min(begin + 100, len(archive)))
            ]
            self._shard.update(qdrant.UpdateOperation.upsert_points(points))

    def prepare(self, query: np.ndarray, pooled_query: np.ndarray) -> object:
        nearest = self._qdrant.Query.Nearest
        return nearest(query.tolist(), using="full"), nearest(pooled_query.tolist(), using="pooled")

    def exact(self, query: object) -> list[int]:
        exactly = self._qdrant.SearchParams(exact=True)
        return self._ask(self._qdrant.QueryRequest(limit=10, query=query[0], params=exactly))

    def cascade(self, query: object) -> list[int]:
        exactly = self._qdrant.SearchParams(exact=True)
        first = self._qdrant.Prefetch(limit=100, query=query[1], params=exactly)
        return self._ask(self._qdrant.QueryRequest(limit=10, query=query[0], prefetches=[first], params=exactly))

    def close(self) -> None:
        self._shard.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _ask(self, request: object) -> list[int]:
        return [int(point.id) for point in self._shard.query(request)]


class QdrantInMemory(Peer):
    """qdrant-client without a server: numpy underneath."""

    package = "qdrant-client"

    def __init__(self, archive: StackSet, pooled: tuple[np.ndarray, np.ndarray]):
        from qdrant_client import QdrantClient, models

        self._client = QdrantClient(":memory:")
        maximum = models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM)
        vectors = models.VectorParams(
            size=archive.rows.shape[1], distance=models.Distance.DOT, multivector_config=maximum
        )
        self._client.create_collection("volumes", vectors_config=vectors)
        for begin in range(0, len(archive), 100):
            chosen = range(begin, min(begin + 100, len(archive)))
            points = [models.PointStruct(id=v, vector=archive.volume(v).tolist(), payload={}) for v in chosen]
            self._client.upsert("volumes", points)

    def prepare(self, query: np.ndarray, pooled_query: np.ndarray) -> object:
        return query.tolist()

    def exact(self, query: object) -> list[int]:
        return [int(point.id) for point in self._client.query_points("volumes", query=query, limit=10).points]

    def close(self) -> None:
        self._client.close()


class LanceFlat(Peer):
    """LanceDB without an index: cosine MaxSim over every row."""

    package = "lancedb"

    def __init__(self, archive: StackSet, pooled: tuple[np.ndarray, np.ndarray]):
        import lancedb
        import pyarrow as pa

        self._folder = tempfile.mkdtemp()
        d = archive.rows.shape[1]
        flat = pa.FixedSizeListArray.from_arrays(pa.array(archive.rows.reshape(-1)), d)
        vectors = pa.ListArray.from_arrays(pa.array(archive.offsets, pa.int32()), flat)
        table = pa.table({"id": pa.array(range(len(archive)), pa.int64()), "vector": vectors})
        self._table = lancedb.connect(self._folder).create_table("volumes", table)

    def exact(self, query: object) -> list[int]:
        found = self._table.search(query).distance_type("cosine").select(["id", "_distance"]).limit(10).to_arrow()
        return found["id"].to_pylist()

    def close(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)


_CLASSES = {one.package: one for one in (QdrantEdge, QdrantInMemory, LanceFlat)}


def open_peer(package: str, archive: StackSet, pooled: tuple[np.ndarray, np.ndarray]) -> Peer:
    """The peer of a package, filled; ImportError if it is not installed."""
    return _CLASSES[package](archive, pooled)


def positions(n: int) -> np.ndarray:
    """Where the slices of a benchmark's stack lie, in mm."""
    return SPACING_MM * np.arange(n)
