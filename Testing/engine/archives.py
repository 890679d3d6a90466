"""Small archives of phantom patients for tests of the whole engine."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from VolumeRetrievalEngine.phantoms import Patient, PhantomScan, scan
from VolumeRetrievalEngine.volume import LPS_TO_RAS

#: Coarse, so that a scan takes a fraction of a second; still recognizable.
SPACING_MM = (5.0, 6.0)


@lru_cache(maxsize=32)
def a_scan(seed: int, field_of_view: str) -> PhantomScan:
    """A coarse scan of the patient of this seed."""
    return scan(Patient.random(seed), field_of_view, spacing_mm=SPACING_MM, seed=seed)


def write_image(path: Path, voxels: np.ndarray, affine: np.ndarray) -> Path:
    """Write voxels [k, j, i] with an ijk-to-RAS affine in the format that the path's ending says."""
    image = sitk.GetImageFromArray(voxels)
    lps = LPS_TO_RAS @ affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(path))
    return path


def write_scan(path: Path, one: PhantomScan) -> Path:
    """Write a scan as an image file."""
    return write_image(path, one.voxels.astype(np.int16), one.affine)


def write_archive(folder: Path, seeds: range = range(3)) -> dict[str, Path]:
    """The chests, abdomens and heads of some patients as NIfTI files, by name such as "chest-0"."""
    return {
        f"{view}-{seed}": write_scan(folder / f"{view}-{seed}.nii.gz", a_scan(seed, view))
        for seed in seeds
        for view in ("chest", "abdomen", "head")
    }
