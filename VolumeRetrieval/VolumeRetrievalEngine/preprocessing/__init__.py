"""From a volume to the slices that an encoder sees: plane, body, gray values, size."""

from .stack import THUMBNAIL_SIZE, Stack, Transform, chain, preprocess

__all__ = ["THUMBNAIL_SIZE", "Stack", "Transform", "chain", "preprocess"]
