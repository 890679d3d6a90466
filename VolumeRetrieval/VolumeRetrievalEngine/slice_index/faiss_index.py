"""Nearest rows with FAISS, in four kinds that behave alike: every search returns min(k, allowed rows) rows.

FAISS's indexes differ in what they lack: LSH ignores selections, HNSW cannot remove and stops short of k under a narrow
selection, a filtered Flat runs without matrix products. Each lack is made up for here, so that nobody above has to know
which kind it is. Inner product on unit rows throughout.
"""

from __future__ import annotations

import functools
import math
import zlib
from collections.abc import Callable
from types import ModuleType
from typing import Any, BinaryIO

import numpy as np

from ..errors import MissingPackageError
from .exact_index import ExactIndex, best_first, merge_nearest, nearest_rows
from .row_map import ROWS_AT_A_TIME

#: What a user may choose; "numpy" is exact_index.ExactIndex.
KINDS = ("flat", "hnsw", "ivf-sq8", "lsh")

#: The same for a help text, with what has to be known of LSH (ENGINES.md, table of FAISS indexes).
KINDS_HELP = (
    f"{', '.join(KINDS)}. lsh is for comparison with the paper only: over 199,582 slices its recall@1 was .193 and its "
    "recall@10 .565 with 384 bits, .344 and .745 with 1536; of hnsw both were .98"
)

#: Neighbors kept and searched per row (ENGINES.md, table of FAISS indexes): recall@1 .98 and more on slices.
HNSW_EF_SEARCH = 128
HNSW_EF_CONSTRUCTION = 80
#: Rows that a graph takes at once: a second or two, so that building it can be followed and stopped.
_HNSW_ROWS_AT_A_TIME = 4096
#: Steps in which the lists of an IVF index are trained; what faiss.Level1Quantizer does in one call.
_TRAINING_STEPS = 10
#: Lists of an IVF index that each query visits, at least: more where fewer rows are allowed.
IVF_PROBES = 16
#: Bits of a hash for each dimension of a row.
LSH_BITS_PER_DIMENSION = 4
#: Below this share of selected rows, HNSW would walk its graph through forbidden rows; the selected are compared all.
EXACT_BELOW_SHARE = 0.1


@functools.cache
def load_faiss() -> ModuleType:
    """The faiss module, set up as measured; MissingPackageError if it is not installed."""
    try:
        import faiss
    except ImportError as error:
        raise MissingPackageError("faiss-cpu", "An approximate index") from error
    # faiss 1.14 changed what this threshold counts and its default, so that Flat takes 9-10 times as long at our shape
    # (some 200 queries); 20 queries, as up to 1.13, restores matrix products (ENGINES.md, fact 4; faiss PR 5022).
    if hasattr(faiss.cvar, "distance_compute_blas_threshold"):
        faiss.cvar.distance_compute_blas_threshold = 20
    return faiss


def faiss_is_installed() -> bool:
    try:
        load_faiss()
    except MissingPackageError:
        return False
    return True


class FaissIndex:
    """Rows in a FAISS index of one kind.

    Rows added to an index that is mapped from its file stay next to it in memory, searched exactly.
    """

    def __init__(self, kind: str, index: Any, mapped: bool = False):
        self.kind = kind
        self.mapped = mapped
        self._index = index
        self._tail: ExactIndex | None = None

    @classmethod
    def build(
        cls,
        kind: str,
        dimension: int,
        n_expected: int,
        sample: np.ndarray,
        tell: Callable[[], None] = lambda: None,
    ) -> FaissIndex:
        """An empty index.

        Args:
            sample: float32 [s, d], typical rows for the kinds that are trained (IVF).
            tell: called before every step of the training; may raise Cancelled.
        """
        faiss = load_faiss()
        factory = {"flat": "Flat", "hnsw": "HNSW32,Flat", "ivf-sq8": "IVF{},SQ8"}
        if kind == "lsh":
            return cls(kind, faiss.IndexLSH(dimension, LSH_BITS_PER_DIMENSION * dimension))
        lists = ivf_lists(n_expected, len(sample))
        index = faiss.index_factory(dimension, factory[kind].format(lists), faiss.METRIC_INNER_PRODUCT)
        if kind == "hnsw":
            index.hnsw.efConstruction = HNSW_EF_CONSTRUCTION
        if kind.startswith("ivf"):
            # FAISS warns below 39 rows for each list; ivf_lists saw to it that there are as many.
            _train(index, np.ascontiguousarray(sample, dtype=np.float32), tell)
        return cls(kind, index)

    @property
    def dimension(self) -> int:
        return int(self._index.d)

    @property
    def n_rows(self) -> int:
        return int(self._index.ntotal) + (self._tail.n_rows if self._tail else 0)

    @property
    def size_bytes(self) -> int:
        """About what the rows take, in memory or mapped."""
        rows, d = int(self._index.ntotal), self.dimension
        per_row = {"flat": 4 * d, "hnsw": 4 * d + 272, "ivf-sq8": d + 8}
        size = rows * per_row.get(self.kind, LSH_BITS_PER_DIMENSION * d // 8)
        return size + (self._tail.size_bytes if self._tail else 0)

    @property
    def rows_at_a_time(self) -> int:
        """How many rows are best added at once."""
        return _HNSW_ROWS_AT_A_TIME if self.kind == "hnsw" else ROWS_AT_A_TIME

    @property
    def matrices(self) -> list[np.ndarray] | None:
        """All rows in their order, in one or more parts, float32 (or float16) [n, d] each: views that are valid until
        rows are added. None for kinds that do not keep the rows themselves."""
        if self.kind not in ("flat", "hnsw"):
            return None
        return [self._stored()] + ([self._tail.vectors] if self._tail is not None else [])

    @property
    def outgrown(self) -> bool:
        """Whether there are so many more rows than when its lists were made that each has become too long."""
        return self.kind.startswith("ivf") and ivf_lists(self.n_rows, self.n_rows) >= 4 * int(self._index.nlist)

    def add(self, rows: np.ndarray) -> None:
        """Append float32 [n, d]."""
        rows = np.ascontiguousarray(rows, dtype=np.float32)
        if not self.mapped:
            self._index.add(rows)
            return
        if self._tail is None:
            self._tail = ExactIndex(self.dimension)
        self._tail.add(rows)

    def search(self, queries: np.ndarray, k: int, allowed: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """The k nearest of the allowed rows, by this kind's approximation; see exact_index.nearest_rows.

        The similarity is the inner product; for LSH the cosine that the Hamming distance stands for.
        """
        queries = np.ascontiguousarray(queries, dtype=np.float32)
        inside = int(self._index.ntotal)
        base = self._search_index(queries, k, None if allowed is None else allowed[:inside])
        if self._tail is None:
            return base
        similarity, row = self._tail.search(queries, k, None if allowed is None else allowed[inside:])
        return merge_nearest(base, (similarity, np.where(row < 0, -1, row + inside)), k)

    def write(self, file: BinaryIO) -> int:
        """Write the index to an open file; returns the checksum (CRC-32) of what was written."""
        faiss = load_faiss()
        checksum = 0

        def take(data: bytes) -> int:
            nonlocal checksum
            checksum = zlib.crc32(data, checksum)
            return file.write(data)

        # Through Python's file, because FAISS cannot open paths with non-ASCII letters on Windows.
        faiss.write_index(self._index, faiss.PyCallbackIOWriter(take))
        return checksum

    @classmethod
    def read(cls, kind: str, file: BinaryIO) -> FaissIndex:
        """The index that :meth:`write` wrote at the file's position; RuntimeError if it is none."""
        faiss = load_faiss()
        return cls(kind, faiss.read_index(faiss.PyCallbackIOReader(file.read)))

    @classmethod
    def map(cls, kind: str, path: str) -> FaissIndex:
        """The index at the start of a file, its rows left there; RuntimeError where that is impossible."""
        faiss = load_faiss()
        flags = faiss.IO_FLAG_MMAP if kind.startswith("ivf") else faiss.IO_FLAG_MMAP_IFC
        return cls(kind, faiss.read_index(path, flags), mapped=True)

    def _search_index(self, queries: np.ndarray, k: int, allowed: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        inside = int(self._index.ntotal)
        n_allowed = inside if allowed is None else int(allowed.sum())
        wanted = min(k, n_allowed)
        if wanted == 0 or len(queries) == 0:
            return best_first(np.empty((len(queries), 0), np.float32), np.empty((len(queries), 0), np.int64), k)
        if allowed is not None and n_allowed == inside:
            allowed = None
        if self.kind == "lsh":
            found = self._search_lsh(queries, wanted, allowed, n_allowed)
        elif self.kind == "flat":
            found = self._search_flat(queries, wanted, allowed)
        elif self.kind == "hnsw" and n_allowed < EXACT_BELOW_SHARE * inside:
            found = nearest_rows(queries, self._stored(), wanted, allowed)
        else:
            found = self._search_widening(queries, wanted, allowed)
        return best_first(*found, k)

    def _search_flat(self, queries: np.ndarray, k: int, allowed: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        if allowed is None:
            return self._index.search(queries, k)
        # FAISS compares one by one under a selection: 0.77 s where the same in matrix products takes 0.07 s
        # (200 queries, 13 % of 200k rows).
        return nearest_rows(queries, self._stored(), k, allowed)

    def _search_widening(
        self, queries: np.ndarray, k: int, allowed: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """HNSW or IVF: queries that found fewer than k rows search on with four times the effort."""
        effort, most = self._effort(k, allowed)
        similarity, row = self._index.search(queries, k, params=self._parameters(effort, allowed))
        while (short := np.flatnonzero(row[:, -1] < 0)).size and effort < most:
            effort = min(4 * effort, most)
            found = self._index.search(queries[short], k, params=self._parameters(effort, allowed))
            similarity[short], row[short] = found
        if short.size and self.kind == "hnsw":  # rows that the graph does not lead to
            similarity[short], row[short] = nearest_rows(queries[short], self._stored(), k, allowed)
        return similarity, row

    def _effort(self, k: int, allowed: np.ndarray | None) -> tuple[int, int]:
        """Where to begin, and where every reachable row is searched."""
        if self.kind == "hnsw":
            return max(HNSW_EF_SEARCH, k), max(HNSW_EF_SEARCH, 16 * k)
        # The nearest of few rows are farther away, in other lists, which cost little where most is left out: with 16
        # lists for whatever selection, recall@10 was .72 where 1 in 100 volumes may be found, in the same time.
        share = 1.0 if allowed is None else float(allowed.mean())
        most = int(self._index.nlist)
        return min(math.ceil(IVF_PROBES / share), most), most

    def _parameters(self, effort: int, allowed: np.ndarray | None) -> Any:
        faiss = load_faiss()
        selector = None if allowed is None else faiss.IDSelectorBitmap(np.packbits(allowed, bitorder="little"))
        if self.kind == "hnsw":
            return faiss.SearchParametersHNSW(efSearch=effort, sel=selector)
        return faiss.SearchParametersIVF(nprobe=effort, sel=selector)

    def _search_lsh(
        self, queries: np.ndarray, k: int, allowed: np.ndarray | None, n_allowed: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """LSH knows no selection: more rows are fetched, until k allowed ones are among them."""
        total = int(self._index.ntotal)
        fetch = k if allowed is None else min(total, int(1.5 * k * total / n_allowed) + 1)
        while True:
            distance, row = self._index.search(queries, fetch)
            if allowed is not None:
                row = np.where(allowed[row], row, -1)
            if fetch == total or ((row >= 0).sum(axis=1) >= k).all():
                break
            fetch = min(2 * fetch, total)
        # Rows at an angle of t differ in a share of t / pi of the bits (Charikar 2002).
        similarity = np.cos(np.pi * distance / self._index.nbits)
        return best_first(similarity, row, k)

    def _stored(self) -> np.ndarray:
        """float32 [n, d], a view of the rows that a Flat or HNSW index holds."""
        faiss = load_faiss()
        flat = faiss.downcast_index(self._index.storage) if self.kind == "hnsw" else self._index
        rows, d = int(flat.ntotal), int(flat.d)
        if rows == 0:
            return np.empty((0, d), np.float32)
        return faiss.rev_swig_ptr(flat.get_xb(), rows * d).reshape(rows, d)


def _train(index: Any, sample: np.ndarray, tell: Callable[[], None]) -> None:
    """Train an IVF index step by step: FAISS's own call cannot be followed, and takes minutes for many lists."""
    faiss = load_faiss()
    clustering = faiss.Clustering(index.d, index.nlist, index.cp)
    clustering.niter = 1
    for _step in range(_TRAINING_STEPS):  # each goes on with the centroids of the one before
        tell()
        clustering.train(sample, index.quantizer)
    index.quantizer.is_trained = True
    index.train(sample)  # what is left: the codes; the lists are there


def ivf_lists(n_expected: int, n_sample: int) -> int:
    """How many lists: about 2 sqrt(n), a power of two, and one for each 39 rows of the training sample at most."""
    wanted = 2 ** round(np.log2(max(2 * np.sqrt(max(n_expected, 1)), 1)))
    return int(max(1, min(wanted, n_sample // 39)))
