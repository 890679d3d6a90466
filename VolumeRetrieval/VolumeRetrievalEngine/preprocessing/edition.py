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
    """

    only_content: bool
    constant_is_air: bool


_EDITIONS = {
    1: Edition(only_content=False, constant_is_air=False),
    2: Edition(only_content=True, constant_is_air=True),
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
