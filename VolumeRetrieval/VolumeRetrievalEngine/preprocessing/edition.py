"""What each version of the preprocessing does: a store is searched with slices made as its own were."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import RecipeError
from ..recipe import Recipe


@dataclass(frozen=True)
class Edition:
    """What distinguishes one version from the others.

    Attributes:
        only_content: whether slices that show nothing but air are left out.
        constant_is_air: whether what an image is filled up with around a scan is air, whatever its value.
        pet_root: which root of a PET's values is taken before anything is cut, and shown; 1 leaves them as they are.
        trunk_mm: the least side of what is shown of a CT in which no border of the body is seen; 0 shows it as large
            as it is.
        trunk_alone: whether arms at the sides and thick tables are left out of the body where air separates them.
    """

    only_content: bool
    constant_is_air: bool
    pet_root: int
    trunk_mm: float
    trunk_alone: bool


_EDITIONS = {
    1: Edition(only_content=False, constant_is_air=False, pet_root=1, trunk_mm=0.0, trunk_alone=False),
    2: Edition(only_content=True, constant_is_air=True, pet_root=4, trunk_mm=300.0, trunk_alone=True),
}


def edition_of(recipe: Recipe) -> Edition:
    """The edition that a recipe asks for; RecipeError if this engine does not know its version."""
    known = _EDITIONS.get(recipe.preprocessing_version)
    if known is None:
        raise RecipeError(
            f"version {recipe.preprocessing_version} of the preprocessing: this engine knows versions "
            f"{', '.join(map(str, _EDITIONS))}; use a newer one, or index again"
        )
    return known
