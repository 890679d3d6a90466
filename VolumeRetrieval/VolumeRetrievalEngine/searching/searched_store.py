"""What came of each of several stores that were searched as one archive."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ..errors import VolumeRetrievalError


@dataclass(frozen=True)
class SearchedStore:
    """One of the stores.

    Attributes:
        folder: as it was named.
        problem: why it was not searched; empty if it was.
        problem_type, problem_fields: the class of the error and its values (errors.py), for whoever words it anew.
        knows_patient: False where the query's patient (or study) was to be left out, and is not known in this store.

    Example:
        >>> SearchedStore.from_dict(SearchedStore("/mnt/share/index").to_dict()).problem
        ''
    """

    folder: str
    problem: str = ""
    problem_type: str = ""
    problem_fields: dict[str, Any] = field(default_factory=dict)
    knows_patient: bool = True

    @classmethod
    def lost(cls, folder: str, error: Exception) -> SearchedStore:
        """One that was not searched because of this error."""
        if isinstance(error, VolumeRetrievalError):
            return cls(folder, error.text, type(error).__name__, error.fields)
        return cls(folder, str(error) or type(error).__name__, type(error).__name__)

    def to_dict(self) -> dict[str, Any]:
        """Values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> SearchedStore:
        """What :meth:`to_dict` wrote."""
        return cls(**values)
