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
    """The description of an encoder to create. Creating it can take seconds and a network's worth of memory.

    Attributes:
        name: the encoder's (create_encoder) or a store's (StoreFolder.choose); "" for the last used or default one.
        weights: its file, where it needs one.
        device: None for the best one available.
        precision: None for the fastest one that gives the same embeddings.
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
        """The request itself, or one made from a name."""
        return cls(encoder) if isinstance(encoder, str) else encoder

    def as_noted(self, recipe: Recipe, note: Mapping[str, str]) -> EncoderRequest:
        """The request for the encoder that a store's note names; weights of this request take precedence."""
        noted = Path(note["weights"]) if note.get("weights") else None
        return replace(self, name=note.get("name") or recipe.encoder, weights=self.weights or noted)

    def create(self, edition: str = "") -> Encoder:
        """Create the encoder, or the default one if none is named; EncoderError or WeightsError if that fails.

        Args:
            edition: sha256 of the weights that are wanted, where several editions ship (create_encoder).
        """
        settings: dict[str, Any] = {
            "weights": self.weights,
            "edition": edition,
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
        """Create the encoder, and check that the recipe's embeddings were made with it, and can be made still.

        Raises:
            RecipeError: another encoder, or slices that were made by a later version of the preprocessing.
            WeightsError: other weights, or none.
            EncoderError: it cannot run here.
        """
        if recipe.preprocessing_version > PREPROCESSING_VERSION:
            raise RecipeError(
                f"the store was made with version {recipe.preprocessing_version} of the preprocessing and this engine "
                f"knows none after {PREPROCESSING_VERSION}: its own volumes can be searched with, but no others; use a "
                "newer engine, or index it again"
            )
        encoder = self.create(edition=recipe.weights)
        if encoder.name != recipe.encoder:
            raise RecipeError(f"encoder {encoder.name!r}: the store was made with {recipe.encoder!r}")
        if encoder.weights != recipe.weights:
            raise WeightsError(
                f"{self.weights or self.name}: its sha256 is {encoder.weights[:16]}..., but the store was made with "
                f"weights of sha256 {recipe.weights[:16]}...: give that file, or index again with this one "
                f"(--encoder {self.name})"
            )
        return encoder
