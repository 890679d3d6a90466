"""One run of the training: from its volumes to its files of weights."""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from VolumeRetrievalEngine.encoders.choice import create_encoder

from .configuration import Configuration
from .export import export
from .fitting import fit, new_network
from .slices import SliceSet, phantom_slices, slices_of
from .volumes import TrainingVolume

#: The run that sees every patient; its weights ship.
SHIPPED = "shipped"

_TEACHER = {"name": "mobilenet_v2_imagenet", "input_size": 224, "value_range": [-1, 1]}


@dataclass(frozen=True)
class Run:
    """One network to train.

    Attributes:
        name: SHIPPED, or that of a fold, which its files are called by.
        volumes: what it may see.
        shared, cache: where the volumes and the teacher lie, and where slices and finished networks are kept.
        start: the weights that it begins with, of the same fold of an earlier training; None for random ones.
        log, folder: of its losses, and of its weights.
        made_by: the commit, for the description of the weights.
    """

    name: str
    volumes: Sequence[TrainingVolume]
    configuration: Configuration
    shared: Path
    cache: Path
    start: Path | None
    log: Path
    folder: Path
    made_by: str

    def carry_out(self) -> str:
        """Train, unless the same run is finished already, and write the weights; returns a line about them."""
        torch.set_num_threads(1)
        if not self._finished.exists():
            sets = slice_sets(self.volumes, self.configuration, self.shared, self.cache)
            settings = self.configuration.settings
            network = fit(
                sets,
                settings,
                self.log,
                lambda line: print(f"{self.name}: {line}", flush=True),
                start=self.begun(),
            )
            self._finished.parent.mkdir(parents=True, exist_ok=True)
            partial = self._finished.with_suffix(".part")
            torch.save(network.state_dict(), partial)
            partial.replace(self._finished)
        exported = export(
            self._restored(),
            self.folder,
            name="radiology-resnet" if self.name == SHIPPED else self.name,
            values=self._description(),
            with_onnx=self.name == SHIPPED,
        )
        return (
            f"{self.name}: {len(self.volumes)} volumes and {self.configuration.phantoms} phantoms, "
            f"{exported.size_bytes / 1e6:.1f} MB, cosine to the trained network {exported.cosine:.6f}"
        )

    @property
    def _finished(self) -> Path:
        """The trained network, by a hash of everything that decides what it is."""
        decided = {
            "settings": asdict(self.configuration.settings),
            "phantoms": self.configuration.phantoms,
            "volumes": [one.id for one in self.volumes],
            "start": self.start and hashlib.sha256(self.start.read_bytes()).hexdigest(),
        }
        digest = hashlib.sha256(json.dumps(decided, sort_keys=True).encode()).hexdigest()
        return self.cache / "runs" / f"{self.name}-{digest[:12]}.pt"

    def begun(self) -> torch.nn.Module | None:
        """The network that it goes on from; None where it begins with random weights.

        Raises:
            ValueError: that network saw a patient whom this run holds out, or is another one than the settings say.
        """
        if (weights := self.start) is None:
            return None
        described = json.loads(weights.with_suffix(".json").read_text(encoding="utf-8"))
        if seen := sorted(set(described["trained_patients"]) - {one.patient for one in self.volumes}):
            raise ValueError(f"{weights}: was trained on patients whom {self.name} holds out: {', '.join(seen)}")
        settings = self.configuration.settings
        network = new_network(settings)
        tensors = {name: tensor.float() for name, tensor in load_file(weights).items()}
        # An average over the whole is one over the places of a grid.
        places = settings.grid**2 // (tensors["fc.weight"].shape[1] // settings.widths[-1])
        tensors["fc.weight"] = tensors["fc.weight"].repeat_interleave(places, dim=1) / places
        # What is not in the file counts the steps of batch normalization, which nothing depends on.
        found = network.load_state_dict(tensors, strict=False)
        if found.unexpected_keys or any(not name.endswith("num_batches_tracked") for name in found.missing_keys):
            raise ValueError(f"{weights}: another network than layers {settings.layers}, widths {settings.widths}")
        return network

    def _restored(self) -> torch.nn.Module:
        network = new_network(self.configuration.settings)
        network.load_state_dict(torch.load(self._finished, weights_only=True))
        return network.eval()

    def _description(self) -> dict[str, object]:
        settings = self.configuration.settings
        return {
            "layers": list(settings.layers),
            "widths": list(settings.widths),
            "grid": settings.grid,
            "input_size": settings.size,
            "trained_volumes": [one.id for one in self.volumes],
            "trained_patients": sorted({one.patient for one in self.volumes}),
            "trained_by": self.made_by,
            "trained_on": datetime.date.today().isoformat(),
        }


def slice_sets(
    volumes: Sequence[TrainingVolume], configuration: Configuration, shared: Path, cache: Path
) -> list[SliceSet]:
    """The slices of these volumes and of the phantoms, with the teacher's embeddings of them."""
    cache.mkdir(parents=True, exist_ok=True)
    described = cache / "teacher.json"
    weights = (shared / "weights/mobilenet_v2_imagenet.torchscript.pt").resolve()
    described.write_text(json.dumps({**_TEACHER, "file": str(weights)}), encoding="utf-8")
    teachers = {
        "network": create_encoder("torchscript", weights=described, threads=1),
        "descriptor": create_encoder("descriptor", threads=1),
    }
    size = configuration.settings.size
    real = [slices_of(one, size, teachers, cache / "slices") for one in volumes]
    return real + [phantom_slices(seed, size, teachers, cache / "slices") for seed in range(configuration.phantoms)]
