"""The section Other index folders: indexes that are searched together with that of the open database."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, cast

import qt
import slicer
from slicer.i18n import tr as _
from VolumeRetrievalEngine.searching.match import SearchResult

from ..Database import IndexFolderTexts
from ..Values import Callbacks, IndexFolder, IndexFolderState, Job
from .EnabledReason import EnabledReason
from .LogicProtocol import LogicProtocol
from .WrappedLabel import WrappedLabel


class IndexFoldersSection:
    """Lists the folders, how each stands, and whether it is searched. What a folder is, a process finds out: one on a
    share may hang. `onChanged` is called when other volumes can be found than before."""

    def __init__(self, ui: Any, logic: LogicProtocol, onChanged: Callable[[], None]):
        self.ui = ui
        self.logic = logic
        self.onChanged = onChanged
        self._folders: tuple[IndexFolder, ...] = ()
        self._states: dict[str, IndexFolderState] = {}
        self._asked: tuple[Any, ...] | None = None
        self._fitting: tuple[Any, ...] = ()
        self._questions = 0
        self._isOver = False
        self._job: Job | None = None
        self._adding: Job | None = None
        self._news = self._failure = ""
        self._info = WrappedLabel(ui.indexFoldersInfoLabel)
        self._addButton = EnabledReason(ui.addIndexFolderButton)
        self._removeButton = EnabledReason(ui.removeIndexFolderButton)
        tree = ui.indexFoldersTree
        tree.setTextElideMode(qt.Qt.ElideMiddle)
        tree.header().setStretchLastSection(False)
        tree.header().setSectionResizeMode(0, qt.QHeaderView.Stretch)
        tree.header().setSectionResizeMode(1, qt.QHeaderView.ResizeToContents)
        tree.connect("itemChanged(QTreeWidgetItem*,int)", self._onItemChanged)
        tree.connect("itemSelectionChanged()", self._update)
        ui.addIndexFolderButton.connect("clicked(bool)", self.chooseFolder)
        ui.removeIndexFolderButton.connect("clicked(bool)", self.remove)
        ui.indexFoldersCollapsibleButton.connect("contentsCollapsed(bool)", self._onCollapsed)
        self.refresh()

    @property
    def searched(self) -> tuple[str, ...]:
        """The folders that are searched together with the database's index."""
        return tuple(one.path for one in self._folders if one.isSearched)

    @property
    def modalities(self) -> set[str]:
        """Of the volumes of those that are searched, as far as is known."""
        return self._held(lambda state: state.modalities)

    @property
    def bodyParts(self) -> set[str]:
        return self._held(lambda state: state.bodyParts)

    def refresh(self) -> None:
        """Show the list as the logic tells it now, and look at the folders again where the database's index, which they
        have to fit to, is another one."""
        folders = tuple(self.logic.indexFolders())
        if folders != self._folders:
            self._folders = folders
            self._fill()
        status = self.logic.status()
        fitting = (status.directory, status.store, status.encoder)
        if self._folders and self._asked is not None and (fitting, self._paths) != self._asked:
            self._ask(fitting)
        self._fitting = fitting
        self._update()

    def look(self) -> None:
        """Find out how the folders stand now."""
        if self._folders:
            self._ask(self._fitting)
            self._update()

    def noteResult(self, result: SearchResult) -> None:
        """A search has come upon a folder that it could not search, or on one that is there again."""
        isBack = False
        for one in result.stores:
            known = self._states.get(one.folder)
            if one.problem:
                short, details = IndexFolderTexts.problem(one.problem_type, one.problem, one.problem_fields)
                state = replace(known or IndexFolderState(one.folder, one.folder), problem=short, details=details)
                self._states[one.folder] = state
            else:
                isBack |= known is not None and bool(known.problem)
        if isBack:
            self.look()
        self._showStates()
        self._update()

    def chooseFolder(self, *_ignored: Any) -> None:
        folder = qt.QFileDialog.getExistingDirectory(slicer.util.mainWindow(), _("Folder of an index"), "")
        if folder:
            self.add(folder)

    def add(self, folder: str) -> None:
        """Add this folder, or the index folder that it means, if there is an index."""
        self._say(_("Looking at {folder}...").format(folder=folder))

        def ifWanted(tell: Callable[..., None]) -> Callable[..., None]:
            return lambda *values: None if self._isOver else tell(*values)

        callbacks = Callbacks(
            ifWanted(self._onLooked),
            ifWanted(lambda error: self._endAdding(str(error))),
            ifWanted(lambda: self._endAdding("")),
        )
        job = cast(Job, self.logic.examineIndexFolders([folder], callbacks))
        self._adding = job if job.isRunning else None
        self._update()

    def remove(self, *_ignored: Any) -> None:
        """Take the selected folder off the list; nothing in it is touched."""
        item = self._selected()
        if item is not None:
            path = item.data(0, qt.Qt.UserRole)
            self._news = self._failure = ""
            self._keep([one for one in self._folders if one.path != path])

    def cleanUp(self) -> None:
        """Nobody waits for answers any more."""
        self._questions += 1
        self._isOver = True
        for job in (self._job, self._adding):
            if job is not None and job.isRunning:
                job.cancel()
        self._job = self._adding = None

    @property
    def _paths(self) -> tuple[str, ...]:
        return tuple(one.path for one in self._folders)

    def _held(self, values: Callable[[IndexFolderState], Iterable[str]]) -> set[str]:
        states = (self._states.get(path) for path in self.searched)
        return {value for state in states if state is not None and not state.problem for value in values(state)}

    def _onCollapsed(self, collapsed: bool) -> None:
        if not collapsed:
            self.look()

    def _ask(self, fitting: tuple[Any, ...]) -> None:
        self._asked = fitting, self._paths
        self._questions += 1
        number = self._questions
        if self._job is not None and self._job.isRunning:
            self._job.cancel()  # its answer is not waited for any more

        def ifLatest(tell: Callable[..., None]) -> Callable[..., None]:
            return lambda *values: tell(*values) if number == self._questions else None

        callbacks = Callbacks(ifLatest(self._onStates), ifLatest(self._onNoStates), ifLatest(self._onNoStates))
        job = cast(Job, self.logic.examineIndexFolders(self._paths, callbacks))
        self._job = job if job.isRunning else None
        self._showStates()

    def _onStates(self, states: Sequence[IndexFolderState]) -> None:
        self._job = None
        self._failure = ""
        self._states = {one.path: one for one in states}
        self._showStates()
        self._update()
        self.onChanged()

    def _onNoStates(self, error: Exception | None = None) -> None:
        self._job = None
        self._failure = "" if error is None else str(error)
        self._showStates()
        self._update()

    def _onLooked(self, states: Sequence[IndexFolderState]) -> None:
        (state,) = states
        if not state.isIndex:
            self._endAdding(_("{folder} was not added. {reason}").format(folder=state.path, reason=state.details))
        elif state.isOwn:
            self._endAdding(_("This is the index of the open database, which is searched anyway."))
        elif state.folder in self._paths:
            self._endAdding(_("{folder} is in the list already.").format(folder=state.folder))
        else:
            self._states[state.folder] = replace(state, path=state.folder)
            self._endAdding("")
            self._asked = self._fitting, (*self._paths, state.folder)  # it has just been looked at
            self._keep([*self._folders, IndexFolder(state.folder)])

    def _endAdding(self, news: str) -> None:
        self._adding = None
        self._say(news)

    def _say(self, news: str) -> None:
        self._news = news
        self._update()

    def _keep(self, folders: Sequence[IndexFolder]) -> None:
        self.logic.setIndexFolders(folders)
        self.refresh()
        self.onChanged()

    def _onItemChanged(self, item: Any, column: int) -> None:
        path, isSearched = item.data(0, qt.Qt.UserRole), item.checkState(0) == qt.Qt.Checked
        changed = [replace(one, isSearched=isSearched) if one.path == path else one for one in self._folders]
        if tuple(changed) != self._folders:
            # Known already, so that the tree is not filled anew: Qt goes on with the item (QTreeWidgetItem::setData).
            self._folders = tuple(changed)
            self._keep(changed)

    def _selected(self) -> Any:
        items = self.ui.indexFoldersTree.selectedItems()
        return items[0] if items else None

    def _fill(self) -> None:
        tree, selected = self.ui.indexFoldersTree, self._selected()
        path = selected.data(0, qt.Qt.UserRole) if selected is not None else None
        tree.blockSignals(True)
        tree.clear()
        for one in self._folders:
            item = qt.QTreeWidgetItem()
            item.setText(0, one.path)
            item.setToolTip(0, one.path)
            item.setData(0, qt.Qt.UserRole, one.path)
            item.setCheckState(0, qt.Qt.Checked if one.isSearched else qt.Qt.Unchecked)
            tree.addTopLevelItem(item)
            if one.path == path:
                tree.setCurrentItem(item)
        tree.blockSignals(False)
        self._showStates()

    def _showStates(self) -> None:
        tree = self.ui.indexFoldersTree
        tree.blockSignals(True)
        for row, one in enumerate(self._folders):
            item, state = tree.topLevelItem(row), self._states.get(one.path)
            item.setText(1, self._inWords(state))
            item.setToolTip(1, state.details if state is not None else "")
        tree.blockSignals(False)

    def _inWords(self, state: IndexFolderState | None) -> str:
        if self._job is not None and self._job.isRunning:
            return _("looking...")
        if state is None:
            return ""
        return state.problem or _("{n} volumes").format(n=f"{state.volumes:,}")

    def _update(self) -> None:
        """The title, what can be done now, and what is wrong with which folder."""
        states = [self._states.get(path) for path in self.searched]
        lost = [state for state in states if state is not None and state.problem]
        self.ui.indexFoldersCollapsibleButton.text = self._title(len(states), len(states) - len(lost))
        adding = self._adding is not None and self._adding.isRunning
        self._addButton.update(_("A folder is being looked at.") if adding else "")
        self._removeButton.update("" if self._selected() is not None else _("Select a folder in the list."))
        problems = [f"{state.path}: {state.details}" for state in lost]
        empty = _("Add the index of another database or of a server to search it together with that of this database.")
        self._info.text = "\n".join(filter(None, [self._news, self._failure, *problems])) or (
            "" if self._folders else empty
        )

    def _title(self, count: int, reached: int) -> str:
        if not count:
            return _("Other index folders")
        if reached == count:
            return _("Other index folders: {n}").format(n=count)
        return _("Other index folders: {reached} of {n}").format(reached=reached, n=count)
