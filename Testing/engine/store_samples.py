"""Small volumes for the tests of the store, and the program of another process that writes to it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from VolumeRetrievalEngine.recipe import Recipe
from VolumeRetrievalEngine.store import NewVolume
from VolumeRetrievalEngine.volume import Attributes, Identity, SliceTable, SourceFiles

RECIPE = Recipe("descriptor")

_ENGINE = Path(__file__).resolve().parents[2] / "VolumeRetrieval"

#: Adds volumes START, START + 1, ... and says so after each. With "step", only when a line comes in.
WRITER = """
import sys
from engine.store_samples import RECIPE, new_volume
from VolumeRetrievalEngine.store import VolumeStore
folder, start, count, mode = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
with VolumeStore.create(folder, RECIPE) as store:
    print("ready", flush=True)
    for number in range(start, start + count):
        if mode == "step":
            sys.stdin.readline()
        store.add(new_volume(number, rows=120, dimension=64, thumbnail_bytes=2000))
        print(number, flush=True)
    if mode == "step":
        sys.stdin.readline()
"""


def unit_rows(rows: int, dimension: int, seed: int) -> np.ndarray:
    """float32 [rows, dimension], random rows of length 1."""
    matrix = np.random.default_rng(seed).standard_normal((rows, dimension)).astype(np.float32)
    return matrix / np.linalg.norm(matrix, axis=1, keepdims=True)


def volume_id(number: int) -> str:
    return f"{number:032x}"


def new_volume(
    number: int,
    rows: int = 6,
    dimension: int = 16,
    thumbnail_bytes: int = 20,
    attributes: Attributes | None = None,
    paths: tuple[str, ...] | None = None,
    patient_token: str = "",
    study_token: str = "",
    fingerprint: str = "",
    seed: int | None = None,
) -> NewVolume:
    """A volume that differs from that of any other number in everything."""
    affine = np.diag([0.7, 0.7, 3.0, 1.0])
    affine[:3, 3] = (number, -number, 10.5)
    table = SliceTable.regular(affine, rows)
    table = SliceTable(
        index=(np.arange(rows) * 2).astype(np.int32),
        sop_uid=tuple(f"1.2.{number}.{row}" for row in range(rows)),
        frame=np.arange(rows, dtype=np.int32),
        origin=table.origin,
        normal=table.normal,
        position=table.position,
    )
    embeddings = unit_rows(rows, dimension, number if seed is None else seed)
    return NewVolume(
        identity=Identity(
            volume_id(number), fingerprint or f"fingerprint-{number}", f"1.2.{number}", patient_token, study_token
        ),
        files=SourceFiles("archive", paths or tuple(f"series {number}/{row}.dcm" for row in range(rows))),
        attributes=attributes or Attributes(modality="CT", modality_from="dicom", study_date="20200101"),
        geometry={"plane": "axial", "affine": affine.tolist(), "shape": [rows * 2, 8, 8]},
        plane="axial",
        n_slices=rows * 2,
        slices=table,
        embeddings=embeddings,
        pooled=embeddings[::3],
        pooled_first=np.arange(0, rows, 3),
        thumbnails=[bytes([number % 256]) * thumbnail_bytes for _ in range(rows)],
        device="cpu",
        precision="float32",
        notes=(f"note {number}",),
    )


def python_process(program: str, *arguments: object) -> subprocess.Popen[str]:
    """Another process that runs this program with these arguments and sees the engine and this module."""
    path = os.pathsep.join([str(_ENGINE), str(_ENGINE.parent / "Testing")])
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
    )
