"""VolumeRetrievalEngine: find the volumes that look like this one, and where in them it is.

The part of VolumeRetrieval that knows neither 3D Slicer nor Qt. It runs in Slicer's Python, in a process beside it, on
a server and under pytest, with numpy, scipy, SimpleITK and pydicom alone; faiss, torch and MONAI make it faster and
better where they are installed.
"""

from __future__ import annotations

__version__ = "0.1.0"
