"""Which encoder is wanted and where it should run: by a user, or by the note that a store keeps of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..errors import RecipeError, WeightsError
from ..recipe import PREPROCESSING_VERSION, Recipe
from .base import Encoder
from .choice import create_encoder
from .default import default_encoder
from .descriptor import Descriptor


@dataclass(frozen=True)
class EncoderRequest:
    """An encoder that is not made yet: making one can take seconds and a network's worth of memory.

    Attributes:
        name: for create_encoder; or of a store, see StoreFolder.choose; "" for the one used last, or the default.
        weights: its file, where it needs one.
        device: None for the best there is.
        precision: None for the fastest that gives the same embeddings.
        batch_size: None for the encoder's own.

    Example:
        >>> encoder = EncoderRequest("descriptor").create()
        >>> encoder.name, encoder.dimension
        ('descriptor', 404)
    """

    name: str = ""
    weights: Path | None = None
    device: str | None = None
    batch_size: int | None = None
    precision: str | None = None

    @classmethod
    def of(cls, encoder: EncoderRequest | str) -> EncoderRequest:
        """A request, also where only a name was given."""
        return cls(encoder) if isinstance(encoder, str) else encoder

    def as_noted(self, recipe: Recipe, note: Mapping[str, str]) -> EncoderRequest:
        """For the encoder that a store was made with, as its note says; weights that are asked for go before."""
        noted = Path(note["weights"]) if note.get("weights") else None
        return replace(self, name=note.get("name") or recipe.encoder, weights=self.weights or noted)

    def create(self) -> Encoder:
        """The encoder, the default one where none is named; EncoderError or WeightsError if it cannot be had."""
        settings: dict[str, Any] = {
            "weights": self.weights,
            "device": self.device,
            "precision": self.precision,
            "batch_size": self.batch_size,
        }
        if self.name:
            return create_encoder(self.name, **settings)
        choice = default_encoder()
        encoder = create_encoder(choice.name, **settings)
        if isinstance(encoder, Descriptor):
            encoder.backend_reason = choice.reason
        return encoder

    def create_for(self, recipe: Recipe) -> Encoder:
        """The encoder, checked to be the one that the recipe's embeddings were made with.

        Raises:
            RecipeError: another encoder, or slices that were made by another version of the preprocessing.
            WeightsError: other weights, or none.
            EncoderError: it cannot run here.
        """
        if recipe.preprocessing_version != PREPROCESSING_VERSION:
            raise RecipeError(
                f"the store was made with version {recipe.preprocessing_version} of the preprocessing and this is "
                f"version {PREPROCESSING_VERSION}: its own volumes can be searched with, but no others; index it again"
            )
        encoder = self.create()
        if encoder.name != recipe.encoder:
            raise RecipeError(f"encoder {encoder.name!r}: the store was made with {recipe.encoder!r}")
        if encoder.weights != recipe.weights:
            raise WeightsError(
                f"{self.weights or self.name}: its sha256 is {encoder.weights[:16]}..., but the store was made with "
                f"weights of sha256 {recipe.weights[:16]}...: give that file, or index anew with this one "
                f"(--encoder {self.name})"
            )
        return encoder
