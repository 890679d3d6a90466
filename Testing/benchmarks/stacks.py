"""Archives of embeddings to measure search on: synthetic stacks, and real ones made into many.

The synthetic sets stand for those of ENGINES.md: 200 slices on average, 384 dimensions, adjacent slices at cosine 0.95.
A slice is a point of its examination's course through the body (shared by all patients), of its patient's course, and
noise of its own:

    e = sqrt(a) course + sqrt(b) patient + sqrt(1 - a - b) noise

where both courses are random walks of which neighbors have cosine RHO.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

DIMENSION = 384
RHO = 0.98
#: Examinations (modality, body part, protocol), each with its own course through the body.
EXAMINATIONS = 8
COURSE_SLICES = 420
N_QUERIES = 20
#: Millimeters between slices, for pooling.
SPACING_MM = 3.0


@dataclass(frozen=True)
class StackSet:
    """Volumes as one matrix, and queries.

    Attributes:
        rows: float32 [N, d], unit rows.
        offsets: int64 [V + 1]; volume v is rows[offsets[v]:offsets[v + 1]].
        queries: float32 [n_q, d] each.
    """

    name: str
    rows: np.ndarray
    offsets: np.ndarray
    queries: list[np.ndarray]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def volume(self, v: int) -> np.ndarray:
        return self.rows[self.offsets[v] : self.offsets[v + 1]]

    def first(self, n: int) -> StackSet:
        """The first n volumes, which hold all follow-ups."""
        offsets = self.offsets[: n + 1]
        return StackSet(f"{n} (synthetic)", self.rows[: offsets[-1]], offsets, self.queries)

    def __str__(self) -> str:
        adjacent = np.mean([np.einsum("nd,nd->n", one[1:], one[:-1]).mean() for one in map(self.volume, range(50))])
        return (
            f"{self.name}: {len(self)} volumes, {len(self.rows)} slices of {self.rows.shape[1]} values, "
            f"adjacent slices at cosine {adjacent:.3f}; {len(self.queries)} queries"
        )


def synthetic(name: str, seed: int = 1) -> StackSet:
    """The set of a name: "hard", or a number of volumes such as "1000" (with three follow-ups of each query).

    A set of fewer volumes is the beginning of one of more (:meth:`StackSet.first`).
    """
    rng = np.random.default_rng(seed)
    hard = name == "hard"
    volumes = 1000 if hard else int(name)
    # Shares of the variance; the rest is noise. Adjacent slices: RHO * (course + patient) = 0.95, and 0.90 for "hard".
    course, patient = (0.52, 0.40) if hard else (0.55, 0.42)
    courses = [walk(rng, COURSE_SLICES) for _ in range(EXAMINATIONS)]

    def stack(examination: int, begin: int, end: int, own: np.ndarray) -> np.ndarray:
        """Slices begin to end of a course; `own` float32 [end - begin, d] is the patient's."""
        rows = rng.standard_normal((end - begin, DIMENSION), dtype=np.float32)
        rows *= np.float32(np.sqrt(1 - course - patient))
        rows += np.float32(np.sqrt(course)) * courses[examination][begin:end]
        rows += np.float32(np.sqrt(patient)) * own
        return unit(rows)

    def part() -> tuple[int, int]:
        length = int(np.clip(rng.normal(200, 50), 60, 340))
        begin = int(rng.integers(0, COURSE_SLICES - length + 1))
        return begin, begin + length

    queries: list[np.ndarray] = []
    stacks: list[np.ndarray] = []
    for _ in range(N_QUERIES):
        examination, own = int(rng.integers(EXAMINATIONS)), walk(rng, COURSE_SLICES)
        begin, end = part()
        queries.append(stack(examination, begin, end, own[begin:end]))
        for _follow_up in range(0 if hard else 3):
            # The patient a year on: the same body by and large, another start and end of the scan.
            changed = np.sqrt(0.8) * own + np.sqrt(0.2) * walk(rng, COURSE_SLICES)
            first = int(np.clip(begin + rng.integers(-15, 16), 0, COURSE_SLICES - 60))
            last = int(np.clip(end + rng.integers(-15, 16), first + 60, COURSE_SLICES))
            stacks.append(stack(examination, first, last, changed[first:last]))
    while len(stacks) < volumes:
        begin, end = part()
        stacks.append(stack(int(rng.integers(EXAMINATIONS)), begin, end, walk(rng, end - begin)))
    return _stack_set(f"{name} (synthetic)", stacks, queries)


def extended(name: str, embeddings: np.ndarray, offsets: np.ndarray, volumes: int, seed: int = 2) -> StackSet:
    """Real stacks made into many: each copy a random sub-range with noise at the cosine that adjacent slices have.

    The queries are such copies too, which the archive does not hold.
    """
    rng = np.random.default_rng(seed)
    originals = [embeddings[offsets[v] : offsets[v + 1]].astype(np.float32) for v in range(len(offsets) - 1)]
    adjacent = np.concatenate([np.einsum("nd,nd->n", one[1:], one[:-1]) for one in originals if len(one) > 1])
    cosine = float(np.median(adjacent))

    def copy(original: np.ndarray) -> np.ndarray:
        length = int(rng.integers(max(1, len(original) // 2), len(original) + 1))
        begin = int(rng.integers(0, len(original) - length + 1))
        rows = original[begin : begin + length]
        noise = unit(rng.standard_normal(rows.shape, dtype=np.float32))
        noise = unit(noise - np.einsum("nd,nd->n", noise, rows)[:, None] * rows)
        return unit(cosine * rows + np.sqrt(1 - cosine**2) * noise)

    stacks = [copy(originals[i % len(originals)]) for i in range(volumes)]
    # Whole-volume queries, which is what the pooled filter is for; focal ones are cut out of these.
    long = [one for one in originals if len(one) > 40] or originals
    queries = [copy(long[i]) for i in rng.choice(len(long), min(N_QUERIES, len(long)), replace=False)]
    return _stack_set(f"{name} x {volumes}", stacks, queries)


def load_embeddings(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """`embeddings` [N, d] and `offsets` [V + 1] of an .npz file."""
    with np.load(path) as arrays:
        return arrays["embeddings"], arrays["offsets"].astype(np.int64)


def focal(query: np.ndarray, n: int) -> np.ndarray:
    """The n middle slices of a query."""
    middle = (len(query) - n) // 2
    return query[middle : middle + n]


def _stack_set(name: str, stacks: list[np.ndarray], queries: list[np.ndarray]) -> StackSet:
    offsets = np.concatenate(([0], np.cumsum([len(one) for one in stacks]))).astype(np.int64)
    rows = np.empty((offsets[-1], stacks[0].shape[1]), np.float32)
    for v in range(len(stacks)):
        rows[offsets[v] : offsets[v + 1]] = stacks[v]
        stacks[v] = stacks[v][:0].copy()  # so that a large set is not held twice
    return StackSet(name, rows, offsets, queries)


def walk(rng: np.random.Generator, n: int, dimension: int = DIMENSION) -> np.ndarray:
    """float32 [n, d]: a stationary walk of unit variance, of which neighbors have correlation RHO."""
    steps = rng.standard_normal((n, dimension), dtype=np.float32)
    steps[1:] *= np.float32(np.sqrt(1 - RHO**2))
    for i in range(1, n):
        steps[i] += np.float32(RHO) * steps[i - 1]
    return steps


def unit(rows: np.ndarray) -> np.ndarray:
    """Rows [n, d] of length 1, float32."""
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
