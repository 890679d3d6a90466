"""The recipe: everything that decides what an embedding means. Embeddings of two recipes are never compared."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass, fields
from typing import Any

from .errors import RecipeError

#: Raised whenever the golden-embedding test moves: embeddings made before are then another recipe. What each version
#: does is in preprocessing/edition.py.
PREPROCESSING_VERSION = 2

PLANES = ("auto", "axial", "sagittal", "coronal")


@dataclass(frozen=True)
class Recipe:
    """Everything that determines how a volume becomes embeddings.

    Attributes:
        encoder: the encoder's name (letters, digits, "-", "_", ".").
        weights: sha256 of the encoder's weights; "" for an encoder without any.
        size: side in pixels of the square slices that the encoder sees.
        plane: "auto", "axial", "sagittal" or "coronal" (preprocessing/plane_geometry.py).
        slice_step_mm: slices closer than this are thinned; 0 keeps every slice.
        intensity: how voxels become three channels; "auto" is by modality (preprocessing/intensity.py).
        crop: whether air and table around the body are cropped.
        preprocessing_version: version of the code in preprocessing/.
        normalisation: how the encoder shifts and scales the values in [0, 1] that it is given, as canonical JSON; ""
            where the encoder's name already fixes this.

    Example:
        >>> Recipe("descriptor", slice_step_mm=5).plane
        'auto'
    """

    encoder: str
    weights: str = ""
    size: int = 128
    plane: str = "auto"
    slice_step_mm: float = 3.0
    intensity: str = "auto"
    crop: bool = True
    preprocessing_version: int = PREPROCESSING_VERSION
    normalisation: str = ""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", self.encoder):
            raise RecipeError(f"encoder name {self.encoder!r}: expected letters, digits, '.', '_' and '-' only")
        if self.plane not in PLANES:
            raise RecipeError(f"plane {self.plane!r}: expected one of {', '.join(PLANES)}")
        if not (isinstance(self.slice_step_mm, (int, float)) and 0 <= self.slice_step_mm < 1000):
            raise RecipeError(f"slice step {self.slice_step_mm!r}: expected millimeters, 0 for every slice")
        if self.intensity != "auto":
            raise RecipeError(f"intensity {self.intensity!r}: expected 'auto'")
        if not (isinstance(self.size, int) and 16 <= self.size <= 2048):
            raise RecipeError(f"size {self.size!r}: expected a whole number of pixels from 16 to 2048")
        if not isinstance(self.crop, bool):
            raise RecipeError(f"crop {self.crop!r}: expected true or false")
        object.__setattr__(self, "slice_step_mm", float(self.slice_step_mm))

    def to_json(self) -> str:
        """Canonical JSON: sorted keys, no blanks, so that equal recipes have equal text."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Recipe:
        """The recipe that :meth:`to_json` wrote; RecipeError for anything else."""
        try:
            values = json.loads(text)
            known = {f.name for f in fields(cls)}
            if unknown := sorted(set(values) - known):
                raise RecipeError(f"recipe with unknown entries {unknown}: written by a newer version of the engine?")
            return cls(**values)
        except (ValueError, TypeError) as error:
            raise RecipeError(f"not a recipe: {text[:80]!r} ({error})") from error

    @property
    def own_values(self) -> dict[str, Any]:
        """The entries that follow neither from the encoder nor from the engine's version."""
        names = ("plane", "slice_step_mm", "crop")
        return {name: getattr(self, name) for name in names}

    @property
    def digest(self) -> str:
        """sha256 of the canonical JSON, 64 hex digits."""
        return hashlib.sha256(self.to_json().encode("utf-8")).hexdigest()

    @property
    def folder_name(self) -> str:
        """The name of the store's folder for this recipe: `<encoder>-<hash8>`."""
        return f"{self.encoder}-{self.digest[:8]}"
