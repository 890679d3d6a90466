"""Every error the engine raises on purpose.

Each message names the file or the value, says what was expected and what to do about it, so that it can be shown to
the user as it is. Anything that is not a :class:`VolumeRetrievalError` is a defect of ours.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any


class VolumeRetrievalError(Exception):
    """Base of every error raised on purpose; its text is meant for the user.

    Attributes:
        text: what is wrong and what to do, for every user.
        hint: what to type on the command line; empty where there is nothing. `str` has both.
        fields: JSON values by name, from which a program can word the error itself.

    Example:
        >>> try:
        ...     Retriever.open("nowhere")
        ... except VolumeRetrievalError as error:
        ...     print(error.text)
        no store at nowhere: index something first
    """

    def __init__(self, text: str, hint: str = "", **fields: Any):
        super().__init__(f"{text}: {hint}" if hint else text)
        self.text = text
        self.hint = hint
        self.fields = fields


class UnreadableFileError(VolumeRetrievalError):
    """A file that should hold an image, but cannot be read as one."""

    def __init__(self, path: Path | str, reason: str):
        super().__init__(f"{path}: {reason}", path=str(path), reason=reason)
        self.path = Path(path)
        self.reason = reason


class NotAVolumeError(VolumeRetrievalError):
    """An image that is readable, but is no volume to search in (a localizer, a report, fewer than 3 slices ...)."""

    def __init__(self, path: Path | str, reason: str):
        super().__init__(f"{path}: {reason}", path=str(path), reason=reason)
        self.path = Path(path)
        self.reason = reason


class ClusterError(VolumeRetrievalError):
    """A cluster that cannot be reached, or whose workers differ from this computer."""


class MetadataError(VolumeRetrievalError):
    """A metadata table or sidecar whose content is not what was expected."""


class RecipeError(VolumeRetrievalError):
    """A recipe with an impossible value, or two recipes that were about to be mixed."""


class EncoderError(VolumeRetrievalError):
    """An unknown encoder, or one that cannot run here; the text says which would."""


class WeightsError(EncoderError):
    """Network weights that are missing, damaged, of the wrong shape or of another network."""


class NeededWeightsError(WeightsError):
    """The weights of another encoder that one needs too are missing or damaged; its own may be as they should."""


class MissingPackageError(VolumeRetrievalError):
    """An optional package is needed for what was asked and is not installed; `instead` is what else could be typed."""

    def __init__(self, package: str, purpose: str, instead: str = ""):
        super().__init__(
            f"{purpose} needs the Python package '{package}', which is not installed",
            f"pip install {package}{instead}",
            package=package,
            purpose=purpose,
        )
        self.package = package


class StoreError(VolumeRetrievalError):
    """The store cannot be used as asked."""


class NoStoreError(StoreError):
    """Nothing was indexed in this folder yet, or the store was removed or moved away. Field: `folder`."""


class OtherRecipeError(StoreError):
    """A store that cannot be searched together with others, because of its encoder or its settings. Fields: `folder`,
    the `encoders` that it has indexes of, and the `expected` one."""


class NotAnsweringError(StoreError):
    """A folder that does not answer, as one on a share whose server is gone. Fields: `folder` and `seconds`, for how
    long it was waited for."""


class StoreLockedError(StoreError):
    """Another process is writing to the store; the text names it. Fields: `folder` and, where they are known, `pid`,
    `host`, `since` and `command` of the process."""


class StoreReadOnlyError(StoreError):
    """A change was asked of a store that was opened, or lies in a folder that is, read-only. Field: `folder`."""


class StoreVersionError(StoreError):
    """The store was written by a newer version of the engine."""


class DamagedStoreError(StoreError):
    """The store's file is damaged; the text says what is affected and how to go on."""


class StoreLostError(StoreError):
    """A store that another process held open can no longer be asked: its process or computer is gone."""


class UnknownVolumeError(StoreError):
    """A volume id or path that the store does not hold."""


class QueryError(VolumeRetrievalError):
    """A query that cannot be searched with."""


class UnknownSearchError(QueryError):
    """A search that is not among the last few, about whose result something was asked."""


class EmptyRegionError(QueryError):
    """A region that selects no slice of the query volume."""


class FilterError(QueryError):
    """An attribute filter that names no known attribute or has no valid value."""


class MessageTooLongError(VolumeRetrievalError):
    """A message between processes that is longer than worker/messages.py allows."""
