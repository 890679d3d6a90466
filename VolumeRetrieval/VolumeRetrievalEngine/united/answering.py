"""Asking folders whether they are there, without waiting for ever for one on a share that hangs.

What a system call waits for on a dead share cannot be interrupted, nor does it have a time limit. So it waits on a
thread of its own, which is left to itself.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path

from ..errors import NotAnsweringError

#: A disk of a server that was asleep needs ten seconds.
PATIENCE_SECONDS = 15.0


class AnsweringFolders:
    """Knows of folders that they hang, so that they are waited for once and not again until they have answered."""

    def __init__(self, seconds: float = PATIENCE_SECONDS, look: Callable[[Path], Path] = Path.resolve):
        """`look` asks the file system for a folder, and returns what it is without symbolic links."""
        self._seconds = seconds
        self._look = look
        self._asked: dict[Path, _Question] = {}

    def ask(self, folders: Iterable[Path]) -> None:
        """Begin to ask all of these, so that they are waited for together."""
        for folder in folders:
            self._question(folder)

    def check(self, folder: Path) -> Path:
        """The folder without symbolic links, whether it is there or not.

        Raises:
            NotAnsweringError: it does not answer (still, or again).
        """
        question = self._question(folder)
        question.thread.join(0 if question.was_waited_for else self._seconds)
        if question.thread.is_alive():
            question.was_waited_for = True
            raise NotAnsweringError(
                f"{folder}: does not answer (waited {self._seconds:g} s): is its server or disk on?",
                folder=str(folder),
                seconds=self._seconds,
            )
        del self._asked[folder]
        return question.answer

    def distinct(
        self, stores: Sequence[Path], elsewhere: Collection[Path] = ()
    ) -> tuple[dict[int, Path], dict[int, Exception]]:
        """The folders by number, each once however it is named; and those of this computer that do not answer."""
        self.ask(store for store in stores if store not in elsewhere)
        folders: dict[Path, Path] = {}
        silent: dict[Path, Exception] = {}
        for store in stores:
            try:
                folders.setdefault(store if store in elsewhere else self.check(store), store)
            except NotAnsweringError as error:
                folders.setdefault(store, store)
                silent[store] = error
        numbered = dict(enumerate(folders.values()))
        return numbered, {number: silent[store] for number, store in numbered.items() if store in silent}

    def _question(self, folder: Path) -> _Question:
        if folder not in self._asked:
            self._asked[folder] = _Question(folder, self._look)
        return self._asked[folder]


class _Question:
    def __init__(self, folder: Path, look: Callable[[Path], Path]):
        self.answer = folder
        self.was_waited_for = False
        self._look = look
        self.thread = threading.Thread(target=self._run, name="folder", daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.answer = self._look(self.answer)
        except (OSError, RuntimeError):  # whoever opens it says why (RuntimeError: a circle of links)
            return
