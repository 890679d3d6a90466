"""`weights`: which pretrained encoders there are, and their weights on this computer.

With --json, `weights list` and `weights remove` print one JSON document. `weights install` can take long and prints
lines of JSON: the messages of worker/PROTOCOL.md. Standard output carries nothing else.

    {"type": "hello", "protocol": 1, "version": "0.1.0", "pid": 4711}
    {"type": "progress", "stage": "download", "done": BYTES, "total": BYTES (0: unknown), "item": NAME,
     "rate": BYTES PER SECOND, "remaining": SECONDS or null}
    {"type": "result", "result": what `weights list --json` says of the encoder}
    {"type": "error", "error": {"type": CLASS, "text": TEXT}}

The last line is a `result` or an `error`; an `error` of the type "Cancelled" if it was stopped (exit code 130). It
stops when its standard input is a pipe and is closed, and may be killed at any moment: what has come so far stays, and
the next `install` of the name resumes it.

`weights list --json` prints {"folder": PATH, "encoders": [...]}, each with "name", "title",
"path", "size_bytes" (of the whole file; 0: not known), "installed_bytes", "verified" (address and hash are the
publisher's), "license" {"name", "url", "commercial": true, false or null (not clear)}, "consented", "url",
"request_url", "dimension" (0: as the file says), "input_size", "missing" (packages), "needs" (encoders whose weights
are needed too and are not installed), "cautions" (sentences), "citation", "parity" (what tests compare the network
with), and "state", "checked" and "problem" as in encoders.weights.WeightsStatus.
"""

from __future__ import annotations

import argparse
import os
import stat
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..encoders.catalog import CATALOG, CatalogEntry, entry
from ..encoders.choice import missing_packages
from ..encoders.pretrained import installing_folder
from ..encoders.weights.download import size_on_server
from ..encoders.weights.folder import FOLDER_VARIABLE, WeightsFolder
from ..errors import VolumeRetrievalError, WeightsError
from ..progress import Cancelled, Progress, ProgressCallback
from ..readable import readable_size
from ..worker.messages import MessageWriter
from .console import ProgressLine, print_json, print_table, readable_duration
from .exit_codes import DONE, FAILED, INTERRUPTED
from .interruption import stoppable
from .options import a_path, bare_command

_EXAMPLES = """  python -m VolumeRetrievalEngine weights list
  python -m VolumeRetrievalEngine weights list dinov2-vits14
  python -m VolumeRetrievalEngine weights install dinov2-vits14
  python -m VolumeRetrievalEngine weights install dinov2-vits14 --file /media/usb/dinov2_vits14_pretrain.pth
  python -m VolumeRetrievalEngine weights remove dinov2-vits14
"""
_INSTALL_EXAMPLES = """  python -m VolumeRetrievalEngine weights install dinov2-vits14
  python -m VolumeRetrievalEngine weights install dinov2-vits14 --file dinov2_vits14_pretrain.pth
Size and license are shown first, and nothing is downloaded before you agree (--yes: you have read it). Ctrl-C stops;
what was downloaded is kept, and the same command resumes it. The file is used only if it is, byte for byte, the
publisher's. Proxies and certificates come from the environment: HTTPS_PROXY, NO_PROXY, REQUESTS_CA_BUNDLE. Without a
network, fetch the file elsewhere and give it with --file: it is checked in the same way.
"""

_MESSAGE_SECONDS = 0.2


def add_commands(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "weights",
        help="list, install and remove the weights of pretrained encoders",
        description="List, install and remove the weights of pretrained encoders.",
        epilog=f"examples:\n{_EXAMPLES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    listing = _new_action(actions, "list", "which encoders there are, and what is installed", run_list)
    listing.add_argument("names", nargs="*", metavar="NAME", help="tell all about these (default: a line for each)")
    install = _new_action(
        actions, "install", "download weights, or take them from a file", run_install, _INSTALL_EXAMPLES
    )
    install.add_argument("name", metavar="NAME", help="an encoder, see `weights list`")
    install.add_argument(
        "--file", type=a_path, metavar="FILE", help="the weights, fetched elsewhere; no network is used"
    )
    install.add_argument("--yes", action="store_true", help="agree to the license without being asked")
    remove = _new_action(actions, "remove", "delete weights, and what a download has left", run_remove)
    remove.add_argument("name", metavar="NAME", help="an encoder, see `weights list`")


def _new_action(
    actions: argparse._SubParsersAction,
    name: str,
    help: str,
    run: Callable[[argparse.Namespace], int],
    examples: str = _EXAMPLES,
) -> argparse.ArgumentParser:
    parser = bare_command(actions, name, help, examples, run)
    parser.add_argument(
        "--folder",
        type=a_path,
        metavar="DIR",
        help=f"where weights are kept (default: {FOLDER_VARIABLE}, else {WeightsFolder().folder})".replace("%", "%%"),
    )
    return parser


def run_list(options: argparse.Namespace) -> int:
    """A line for each encoder, or all about those that are named."""
    weights = _folder(options)
    described = [_described(one, weights) for one in map(entry, options.names or CATALOG)]
    if options.json:
        print_json({"folder": str(weights.folder), "encoders": described})
    elif options.names:
        print("\n\n".join(_in_words(one) for one in described))
    else:
        print_table(_HEADER, [_row(one) for one in described], right=(2, 6, 7))
        for one in described:
            if one["problem"]:
                print(f"damaged: {one['problem']}")
        print(f"folder: {weights.folder}; all about an encoder: weights list NAME")
    return DONE


def run_install(options: argparse.Namespace) -> int:
    """Install, and say how the file was checked."""
    return _install_for_program(options) if options.json else _install_for_person(options)


def _install_for_person(options: argparse.Namespace) -> int:
    wanted, weights = entry(options.name), _folder(options)
    with ProgressLine(_progress_text) as line:
        _install(wanted, weights, options, lambda one: _asked(one, weights, options), line)
    described = _described(wanted, weights)
    print(f"installed: {described['path']} ({_how_checked(described)})")
    for needed in described["needs"]:
        print(f"note: {wanted.name} also needs: weights install {needed}")
    if described["missing"]:
        print(f"note: {wanted.name} also needs: pip install {' '.join(described['missing'])}")
    return DONE


def _install_for_program(options: argparse.Namespace) -> int:
    """As the top of this file says."""
    messages = MessageWriter.on_standard_output()
    messages.hello()
    try:
        wanted, weights = entry(options.name), _folder(options)
        with stoppable(_Seldom(messages.progress), _watched_input(), _STOPPING) as progress:
            _install(wanted, weights, options, lambda one: options.yes or _cannot_ask(one), progress)
        messages.result(_described(wanted, weights))
    except BrokenPipeError:
        raise
    except Exception as error:
        messages.error(error)
        if isinstance(error, Cancelled):
            return INTERRUPTED
        if not isinstance(error, (VolumeRetrievalError, OSError)):
            raise
        return FAILED
    return DONE


def _install(
    wanted: CatalogEntry,
    weights: WeightsFolder,
    options: argparse.Namespace,
    consent: Callable[[CatalogEntry], bool],
    progress: ProgressCallback,
) -> Path:
    if options.file is not None:
        return weights.install_file(wanted, options.file, consent=consent)
    for needed in wanted.needs:
        weights.install(entry(needed), consent=consent, progress=progress)
    return weights.install(wanted, consent=consent, progress=progress)


def run_remove(options: argparse.Namespace) -> int:
    """Remove, and say how much room that made."""
    freed = _folder(options).remove(entry(options.name))
    if options.json:
        print_json({"name": options.name, "freed_bytes": freed})
    else:
        print(f"removed {readable_size(freed)}" if freed else f"{options.name}: nothing was installed")
    return DONE


def _folder(options: argparse.Namespace) -> WeightsFolder:
    return installing_folder(options.folder)


def _asked(wanted: CatalogEntry, weights: WeightsFolder, options: argparse.Namespace) -> bool:
    """Show what would be installed, and ask; WeightsError where nobody can be asked."""
    print(_in_words(_described(wanted, weights)))
    if options.yes:
        return True
    if not sys.stdin.isatty():
        return _cannot_ask(wanted)
    if options.file is None and not wanted.source.size_bytes and (size := size_on_server(wanted)):
        print(f"size, as the server says: {readable_size(size)}")
    return input("Install these weights, and agree to their license? [y/N] ").strip().lower() in ("y", "yes")


def _cannot_ask(wanted: CatalogEntry) -> bool:
    raise WeightsError(
        f"{wanted.name}: its license ({wanted.license.name}, {wanted.license.url}) has to be agreed to, and there is "
        "no terminal to ask in: run it in one, or with --yes when you have read it"
    )


def _described(wanted: CatalogEntry, weights: WeightsFolder) -> dict[str, Any]:
    """The facts of an encoder and its weights, for JSON."""
    status, source = weights.status(wanted), wanted.source
    return {
        "name": wanted.name,
        "title": wanted.title,
        "state": status.state,
        "path": str(status.path),
        "size_bytes": source.size_bytes or (status.size_bytes if status.state == "installed" else 0),
        "installed_bytes": status.size_bytes,
        "verified": wanted.verified,
        "checked": status.checked,
        "problem": f"{status.problem}: {status.hint}" if status.hint else status.problem,
        "license": {
            "name": wanted.license.name,
            "url": wanted.license.url,
            "commercial": wanted.license.commercial,
        },
        "consented": weights.consented(wanted),
        "url": source.url,
        "request_url": source.request_url,
        "dimension": wanted.dimension,
        "input_size": wanted.input_size,
        "missing": list(missing_packages(wanted)),
        "needs": [one for one in wanted.needs if weights.status(entry(one)).state != "installed"],
        "cautions": list(wanted.cautions),
        "citation": wanted.citation,
        "parity": wanted.parity,
    }


_HEADER = (
    "encoder",
    "weights",
    "size",
    "license",
    "commercial use",
    "verified",
    "numbers",
    "pixels",
    "missing",
)
_COMMERCIAL = {True: "allowed", False: "not allowed", None: "not clear"}
_CHECKED = {
    "hash": "the publisher's file, by its hash",
    "others": "unverified: the publisher states no hash; it has the one that others recorded",
    "fit": "unverified: the publisher states no hash; its tensors are those of the network",
    "nothing": "unverified: the publisher states no hash, and its tensors could not be compared: that takes torch, "
    "MONAI and the weights of the encoders that it needs",
}


def _how_checked(one: dict[str, Any]) -> str:
    how = "others" if one["checked"] == "hash" and not one["verified"] else one["checked"]
    return _CHECKED[how]


def _row(one: dict[str, Any]) -> tuple[object, ...]:
    state = one["state"]
    if state == "absent" and not one["url"]:
        state = "from a file"
    return (
        one["name"],
        state,
        readable_size(one["size_bytes"]) if one["size_bytes"] else "?",
        textwrap.shorten(one["license"]["name"], 28, placeholder="..."),
        _COMMERCIAL[one["license"]["commercial"]],
        "yes" if one["verified"] else "unverified",
        one["dimension"] or "?",
        one["input_size"],
        ", ".join([*one["missing"], *(f"weights of {needed}" for needed in one["needs"])]),
    )


def _in_words(one: dict[str, Any]) -> str:
    """Everything that somebody who is to agree should know, line by line."""
    terms = one["license"]
    lines = [
        f"{one['name']}: {one['title']}",
        f"  size: {readable_size(one['size_bytes']) if one['size_bytes'] else 'not stated'}",
        f"  license: {terms['name']} ({terms['url']})",
        f"  commercial use: {_COMMERCIAL[terms['commercial']]}",
        f"  from: {one['url'] or one['request_url'] or 'a file that you have'}",
        f"  weights: {one['state']}, {one['path']}",
        f"  slices of {one['input_size']} x {one['input_size']} pixels become {one['dimension'] or '(?)'} numbers",
        *([f"  packages missing: {', '.join(one['missing'])}"] if one["missing"] else []),
        *(f"  also needs the weights of {needed}" for needed in one["needs"]),
        *(f"  note: {caution}" for caution in one["cautions"]),
        *([f"  problem: {one['problem']}"] if one["problem"] else []),
        *([f"  network tested against: {one['parity']}"] if one["parity"] else []),
        f"  please cite: {one['citation']}",
    ]
    return "\n".join(lines)


def _progress_text(step: Progress) -> str:
    """ "download 12.3 MB of 86.6 MB, 4.1 MB/s, 18 s left"."""
    parts = [f"{step.stage} {readable_size(step.done)}" + (f" of {readable_size(step.total)}" if step.total else "")]
    if step.rate:
        parts.append(f"{readable_size(step.rate)}/s")
    if step.remaining is not None and step.done < step.total:
        parts.append(f"{readable_duration(step.remaining)} left")
    return ", ".join(parts)


class _Seldom:
    """Passes on the first step, the last, and a few each second."""

    def __init__(self, report: ProgressCallback):
        self._report, self._last = report, float("-inf")

    def __call__(self, step: Progress) -> None:
        now = time.monotonic()
        if now - self._last >= _MESSAGE_SECONDS or (step.total and step.done == step.total):
            self._last = now
            self._report(step)


_STOPPING = "\nstopping; what has come stays\n"


def _watched_input() -> int | None:
    """Standard input if it is a pipe, whose end means that whoever started us is gone or has had enough."""
    if sys.stdin is None:
        return None
    descriptor = sys.stdin.fileno()
    return descriptor if stat.S_ISFIFO(os.fstat(descriptor).st_mode) else None
