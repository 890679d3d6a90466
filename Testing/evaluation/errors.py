"""What an evaluation refuses."""

from __future__ import annotations


class EvaluationError(Exception):
    """The figures asked for cannot be had, or would not mean what their table says."""
