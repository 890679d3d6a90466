"""From a volume to the slices that an encoder sees: plane, body, grey values, size."""

from .stack import THUMBNAIL_SIZE, Stack, Transform, chain, preprocess

__all__ = ["THUMBNAIL_SIZE", "Stack", "Transform", "chain", "preprocess"]
