"""Makes the pictures of the samples in the Sample Data module: python Testing/module/sample_thumbnails.py"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "VolumeRetrieval"))

from VolumeRetrievalEngine.phantoms import make_query, scan  # noqa: E402
from VolumeRetrievalEngine.phantoms.archive import archive_patient  # noqa: E402

_SIZE = (260, 280)
_SPACING = (2.0, 2.0)


def coronal(voxels: np.ndarray, mask: np.ndarray | None = None) -> Image.Image:
    """The middle coronal slice (of the mask, if one is given, which is drawn in red), head up, window 400 at 40."""
    row = voxels.shape[1] // 2 if mask is None else int(np.argmax(mask.sum((0, 2))))
    gray = np.clip((voxels[::-1, row] + 160) / 400 * 255, 0, 255).astype(np.uint8)
    picture = np.repeat(gray[..., None], 3, axis=2)
    if mask is not None:
        inside = mask[::-1, row]
        picture[inside] = picture[inside] * 0.5 + np.array([220, 60, 40]) * 0.5
    return Image.fromarray(picture)


def mosaic(pictures: list[Image.Image], columns: int) -> Image.Image:
    """Pictures side by side and below each other, each as large as fits."""
    rows = -(-len(pictures) // columns)
    width, height = _SIZE[0] // columns, _SIZE[1] // rows
    whole = Image.new("RGB", _SIZE)
    for index, picture in enumerate(pictures):
        picture.thumbnail((width - 4, height - 4))
        left = index % columns * width + (width - picture.width) // 2
        whole.paste(picture, (left, index // columns * height + (height - picture.height) // 2))
    return whole


def main() -> None:
    icons = ROOT / "VolumeRetrieval" / "Resources" / "Icons"
    views = ("chest-abdomen", "head", "abdomen", "chest-abdomen", "chest", "pelvis")
    scans = [scan(archive_patient(0, number + 1), view, spacing_mm=_SPACING) for number, view in enumerate(views)]
    mosaic([coronal(one.voxels) for one in scans], 3).save(icons / "PhantomArchive.png")
    query = make_query(spacing_mm=_SPACING)
    mosaic([coronal(query.scan.voxels, query.mask)], 1).save(icons / "PhantomQuery.png")


if __name__ == "__main__":
    main()
