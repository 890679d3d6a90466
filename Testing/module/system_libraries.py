"""The system libraries that Qt and VTK load when they draw off screen: which are missing, and installing them.

python Testing/module/system_libraries.py       installs what is missing, as root on Debian or Ubuntu; else says how
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys

#: Each library, and the package of Debian and Ubuntu that has it.
_PACKAGES = {
    "libEGL.so.1": "libegl1",
    "libGL.so.1": "libgl1",
    "libxkbcommon.so.0": "libxkbcommon0",
    "libdbus-1.so.3": "libdbus-1-3",
    "libfontconfig.so.1": "libfontconfig1",
    "libglib-2.0.so.0": "libglib2.0-0",
}
#: Mesa's drivers are loaded by name at run time, from a folder that differs; without a GPU they do the drawing.
_DRIVERS = "libgl1-mesa-dri"


def missingPackages() -> list[str]:
    """Packages to install, [] if everything is here (or this is not Linux, where Qt and VTK bring their own)."""
    if not sys.platform.startswith("linux"):
        return []
    missing = [package for library, package in _PACKAGES.items() if not _isHere(library)]
    return [*missing, _DRIVERS] if missing else []


def installCommand(packages: list[str]) -> str:
    return f"apt-get install -y {' '.join(packages)}"


def _isHere(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def main() -> None:
    """Always succeeds: tests that need what is still missing are skipped, and say what that is."""
    packages = missingPackages()
    if not packages:
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        print(f"For the tests of the Slicer module, system libraries are missing: {installCommand(packages)}")
        return
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for arguments in (["update", "--quiet"], ["install", "--yes", "--quiet", "--no-install-recommends", *packages]):
        if subprocess.run(["apt-get", *arguments], env=environment, stdout=subprocess.DEVNULL).returncode:
            print(f"System libraries could not be installed: {installCommand(packages)}")
            return


if __name__ == "__main__":
    main()
