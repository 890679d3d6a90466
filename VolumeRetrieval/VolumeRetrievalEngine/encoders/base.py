"""What an encoder is: slices in, unit vectors out."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np


@runtime_checkable
class Encoder(Protocol):
    """Turns slices into embeddings.

    Attributes:
        name: as in a :class:`~VolumeRetrievalEngine.recipe.Recipe`.
        weights: sha256 of the weights file, "" for an encoder without any.
        input_size: side in pixels of the square slices it expects.
        dimension: d, the length of an embedding.
        device: where it runs ("cpu", "cuda:0", "mps"), noted per volume, not part of the recipe.
        precision: "float32", "bfloat16" or "float16", likewise.

    An encoder that more than one library can run also has `backend`, the name of the one that does, and
    `backend_reason`, a sentence for the user on why it is not a better one, or "".
    """

    name: str
    weights: str
    input_size: int
    dimension: int
    device: str
    precision: str

    def embed(self, slices: np.ndarray) -> np.ndarray:
        """Slices float32 [n, 3, input_size, input_size] with values in [0, 1] to float32 [n, d], rows of length 1."""
        ...
