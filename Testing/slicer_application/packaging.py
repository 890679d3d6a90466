"""slicer.packaging: what is offered and what it raises. Read in Slicer 5.12, Base/Python/slicer/packaging.py.

Nothing is ever installed: `pip` is a function that a test sets.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

#: Called with the arguments of pip_install; raises CalledProcessError to fail.
pip: list[Callable[..., None]] = []


def load_requirements(path: str | Path) -> list[Requirement]:
    lines = (line.strip() for line in Path(path).read_text().splitlines())
    return [Requirement(line) for line in lines if line and line[0] not in "#-"]


def pip_check(req: Any) -> bool:
    requirements = req if isinstance(req, list) else [req]
    for one in (Requirement(r) if isinstance(r, str) else r for r in requirements):
        if one.marker is not None and not one.marker.evaluate():
            continue
        try:
            if importlib.metadata.version(one.name) not in one.specifier:
                return False
        except importlib.metadata.PackageNotFoundError:
            return False
    return True


def pip_install(
    requirements: Any,
    constraints: Any = None,
    no_deps_requirements: Any = None,
    skip_packages: Any = None,
    blocking: bool = True,
    show_progress: bool = True,
    requester: str | None = None,
    parent: Any = None,
    logCallback: Any = None,
    completedCallback: Any = None,
) -> None:
    if not pip:
        raise AssertionError("a test wanted to install packages without saying what pip should do")
    pip[-1](
        requirements,
        constraints=constraints,
        skip_packages=skip_packages,
        blocking=blocking,
        show_progress=show_progress,
        requester=requester,
        logCallback=logCallback,
        completedCallback=completedCallback,
    )


def pip_ensure(
    requirements: Any,
    constraints: Any = None,
    skip_packages: Any = None,
    prompt_install: bool = True,
    prompt_restart: bool = True,
    requester: str | None = None,
    skip_in_testing: bool = True,
    show_progress: bool = True,
) -> None:
    import slicer

    missing = [one for one in requirements if not pip_check(one)]
    if not missing or (skip_in_testing and slicer.app.testingEnabled()):
        return
    if prompt_install and not slicer.util.confirmOkCancelDisplay("Install?", "Install Python Packages"):
        raise RuntimeError("User declined package installation")
    pip_install([str(one) for one in missing], constraints=constraints, requester=requester)


def isPipInstallInProgress() -> bool:
    return False
