"""Writes the lists of files in VolumeRetrieval/CMakeLists.txt anew: python Testing/module/list_module_files.py

Run it after `git add` of a new file. A file that is in no list works from the source tree and is missing in the
installed extension.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CMAKE_FILE = ROOT / "VolumeRetrieval" / "CMakeLists.txt"


def moduleFiles() -> tuple[list[str], list[str]]:
    """(Python files, other files) of the module that git tracks, relative to its folder."""
    found = subprocess.run(
        ["git", "ls-files", "--", "."],
        cwd=CMAKE_FILE.parent,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    files = sorted(one for one in found if (CMAKE_FILE.parent / one).exists())
    packaged = [one for one in files if not one.endswith("CMakeLists.txt") and not one.startswith("Testing/")]
    return [one for one in packaged if one.endswith(".py")], [one for one in packaged if not one.endswith(".py")]


def listedFiles(text: str) -> tuple[list[str], list[str]]:
    """(scripts, resources) as the CMake file lists them."""
    lists = []
    for name in ("MODULE_PYTHON_SCRIPTS", "MODULE_PYTHON_RESOURCES"):
        body = re.search(rf"set\({name}\n(.*?)\n  \)", text, re.DOTALL)
        if body is None:
            raise ValueError(f"{CMAKE_FILE}: no list {name}")
        lists.append(body.group(1).replace("${MODULE_NAME}", "VolumeRetrieval").split())
    return lists[0], lists[1]


def main() -> None:
    text = CMAKE_FILE.read_text()
    lists = zip(("MODULE_PYTHON_SCRIPTS", "MODULE_PYTHON_RESOURCES"), moduleFiles(), strict=True)
    for name, files in lists:
        body = "\n".join(f"  {one}" for one in files)
        text = re.sub(rf"set\({name}\n.*?\n  \)", f"set({name}\n{body}\n  )", text, flags=re.DOTALL)
    CMAKE_FILE.write_text(text)


if __name__ == "__main__":
    main()
