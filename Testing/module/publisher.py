"""A publisher of weights on loopback, and an engine whose catalog has them; nothing is ever asked of the network."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, replace
from pathlib import Path
from types import MappingProxyType

from engine.weights_server import CONTENT, WeightsServer
from VolumeRetrievalEngine.encoders import catalog
from VolumeRetrievalLib.Processes.EngineProcess import EngineCommand

#: An entry of the real catalog, whose weights are had from the server instead.
NAME = "resnet50-imagenet"

_PATCH = """
import json
from dataclasses import replace
from types import MappingProxyType
from VolumeRetrievalEngine.encoders import catalog
from VolumeRetrievalEngine.encoders.catalog.entry import WeightsSource

entry = replace(catalog.CATALOG[{name!r}], source=WeightsSource(**json.loads({source!r})))
catalog.CATALOG = MappingProxyType({{**catalog.CATALOG, {name!r}: entry}})
"""


def publish(server: WeightsServer, folder: Path, monkeypatch, content: bytes = CONTENT) -> EngineCommand:
    """Let the catalog have NAME's weights from this server, here and in the engine of the command returned."""
    for variable in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(variable, raising=False)
    source = server.entry(content=content).source
    entry = replace(catalog.CATALOG[NAME], source=source)
    monkeypatch.setattr(catalog, "CATALOG", MappingProxyType({**catalog.CATALOG, NAME: entry}))
    folder.mkdir(parents=True, exist_ok=True)
    # Python imports a module of this name when it starts (documentation of the module site).
    (folder / "sitecustomize.py").write_text(_PATCH.format(name=NAME, source=json.dumps(asdict(source))))
    return EngineCommand(sys.executable, folder)
