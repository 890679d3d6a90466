"""A similarity matrix as a value of a JSON message: base64 of float16, a fifth of the same numbers as text."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

import numpy as np

#: Little-endian. Cosines lie in [-1, 1], where float16 is right to 0.0005: three decimals are shown.
_DTYPE = "<f2"


def encode_matrix(matrix: np.ndarray) -> dict[str, Any]:
    """Of a float matrix [rows, columns]: its shape, and its values as base64 of float16, row by row."""
    values = np.ascontiguousarray(matrix, dtype=_DTYPE)
    return {"shape": list(values.shape), "float16": base64.b64encode(values.tobytes()).decode("ascii")}


def decode_matrix(values: Mapping[str, Any]) -> np.ndarray:
    """float32 [rows, columns]; ValueError for values that :func:`encode_matrix` did not make."""
    try:
        data = base64.b64decode(values["float16"], validate=True)
        return np.frombuffer(data, _DTYPE).reshape(values["shape"]).astype(np.float32)
    except (KeyError, TypeError, binascii.Error) as error:
        raise ValueError(f"a similarity matrix that cannot be read: {error}") from error
