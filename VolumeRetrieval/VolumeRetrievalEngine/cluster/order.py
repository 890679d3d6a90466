"""What a worker is asked to do, and how it does it. Nothing here knows of Dask."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from .. import __version__
from ..encoders.base import Encoder
from ..encoders.request import EncoderRequest
from ..errors import ClusterError, VolumeRetrievalError
from ..indexing.embedding import InThisProcess, Outcome
from ..reading import VolumeSource
from ..recipe import Recipe
from ..store import NewVolume

# A worker with several threads embeds one volume at a time all the same: the encoder uses all cores, or the card.
_ONE_AT_A_TIME = threading.Lock()


@dataclass(frozen=True)
class Order:
    """How volumes are to be embedded.

    Attributes:
        version: of the engine that asks; a worker of another version refuses.
        request: the encoder. A file of weights has to be at the same path on every worker.
        recipe: of the store, as JSON.
    """

    version: str
    request: EncoderRequest
    recipe: str

    @classmethod
    def of(cls, request: EncoderRequest, recipe: Recipe) -> Order:
        """For this recipe; a request that names no encoder means the recipe's."""
        return cls(__version__, replace(request, name=request.name or recipe.encoder), recipe.to_json())


def refusal(order: Order) -> str:
    """Why this process cannot carry the order out, or ""."""
    try:
        _encoder(order)
    except VolumeRetrievalError as error:
        return str(error)
    return ""


def carry_out(order: Order, source: VolumeSource) -> Outcome:
    """Read and embed a volume. What comes back is small: embeddings as float16, no voxels.

    Raises:
        ClusterError: this process has another version, other weights, or cannot run the encoder.
    """
    try:
        encoder = _encoder(order)
    except ClusterError:
        raise
    except VolumeRetrievalError as error:
        raise ClusterError(str(error)) from error
    with _ONE_AT_A_TIME:
        embedding = InThisProcess(encoder)
        ((_, outcome),) = embedding.embedded([source], Recipe.from_json(order.recipe), lambda _: None)
    if not isinstance(outcome, NewVolume):
        return outcome
    return replace(outcome, embeddings=outcome.embeddings.astype(np.float16), pooled=outcome.pooled.astype(np.float16))


@lru_cache(maxsize=1)
def _encoder(order: Order) -> Encoder:
    """The encoder, made once in each process."""
    if order.version != __version__:
        raise ClusterError(
            f"this worker has version {__version__} of the engine, the head {order.version}: install the same version"
        )
    return order.request.create_for(Recipe.from_json(order.recipe))
