"""Which encoder is wanted and where it should run: by a user, or by the note that a store keeps of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..errors import RecipeError, WeightsError
from ..recipe import PREPROCESSING_VERSION, Recipe
from . import create_encoder
from .base import Encoder


@dataclass(frozen=True)
class EncoderRequest:
    """An encoder that is not made yet: making one can take seconds and a network's worth of memory.

    Attributes:
        name: for create_encoder.
        weights: its file, where it needs one.
        device: None for the best there is.
        batch_size: None for the encoder's own.
    """

    name: str
    weights: Path | None = None
    device: str | None = None
    batch_size: int | None = None

    @classmethod
    def of_store(cls, recipe: Recipe, note: Mapping[str, str], **asked: object) -> EncoderRequest:
        """The encoder that a store was made with, as its note says (encoder_note); what is asked for goes before it."""
        weights = note.get("weights")
        noted = {"name": note.get("name") or recipe.encoder, "weights": Path(weights) if weights else None}
        return cls(**{**noted, **{name: value for name, value in asked.items() if value is not None}})

    def create(self) -> Encoder:
        """The encoder; EncoderError or WeightsError if it cannot be had."""
        return create_encoder(self.name, weights=self.weights, device=self.device, batch_size=self.batch_size)

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
                f"weights of sha256 {recipe.weights[:16]}...: give that file, or index anew with this one"
            )
        return encoder
