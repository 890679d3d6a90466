"""How far a campaign is, kept in a file: it goes on where it was stopped."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass
class State:
    """What was tried, and what was found. `findings` has one line for each fault, with where its input is kept."""

    seed: int
    inputs: int = 0
    kills: int = 0
    kills_in_work: int = 0
    findings: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, folder: Path, seed: int) -> State:
        """The state of the campaign in this folder; a new one if there is none of this seed."""
        try:
            known = cls(**json.loads((folder / "state.json").read_text()))
        except (OSError, ValueError, TypeError):
            return cls(seed)
        return known if known.seed == seed else cls(seed)

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        temporary = folder / "state.json.new"
        temporary.write_text(json.dumps(asdict(self), indent=1))
        temporary.replace(folder / "state.json")
