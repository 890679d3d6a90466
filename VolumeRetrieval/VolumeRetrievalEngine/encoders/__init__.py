"""Encoders: slices in, unit vectors out.

`descriptor` needs numpy alone and always works. Networks need torch: `torchscript` runs a file that the user brings,
`monai:NETWORK` a network of MONAI with a file of weights. A further kind of encoder is one more entry in _MAKERS.
"""

from __future__ import annotations

from .base import Encoder
from .descriptor import Descriptor
from .encode import encode, prefetched, recipe_for

__all__ = ["Descriptor", "Encoder", "encode", "prefetched", "recipe_for"]
