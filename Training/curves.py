"""The losses of every run over its steps, as one picture."""

from __future__ import annotations

import json
from pathlib import Path

#: Terms of the loss, in the order of objectives.py.
_TERMS = ("anatomy", "modality", "volume", "patient", "teacher", "regression", "description")
#: Each point is the mean of this many lines of the log: batches differ in how hard they are.
_AVERAGED = 5


def draw_curves(logs: Path) -> Path:
    """Draw <logs>/curves.png from the .jsonl files there; needs matplotlib."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(20, 3.2), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, term in zip(figure.subplots(1, len(_TERMS)), _TERMS, strict=True):
        for log in sorted(logs.glob("*.jsonl")):
            lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
            groups = [lines[start : start + _AVERAGED] for start in range(0, len(lines), _AVERAGED)]
            steps = [group[0]["step"] for group in groups]
            axes.plot(steps, [sum(line[term] for line in group) / len(group) for group in groups], label=log.stem, lw=1)
        axes.set_title(term, fontsize=10)
        axes.set_xlabel("step", fontsize=9)
        axes.tick_params(labelsize=8)
    axes.legend(fontsize=7)
    picture = logs / "curves.png"
    figure.savefig(picture, dpi=110)
    return picture
