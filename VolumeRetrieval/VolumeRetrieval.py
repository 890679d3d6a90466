import sys
import tempfile
from pathlib import Path
from typing import Annotated, ClassVar

import qt
import slicer
import vtk
from slicer import vtkMRMLMarkupsROINode, vtkMRMLScalarVolumeNode
from slicer.i18n import tr as _
from slicer.i18n import translate
from slicer.parameterNodeWrapper import WithinRange, parameterNodeWrapper
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin
from VolumeRetrievalLib.RetrievalLogic import RetrievalLogic  # light: it imports the rest when a logic is made

#
# VolumeRetrieval
#


class VolumeRetrieval(ScriptedLoadableModule):
    """Uses ScriptedLoadableModule base class, available at:
    https://github.com/Slicer/Slicer/blob/main/Base/Python/slicer/ScriptedLoadableModule.py
    """

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        self.parent.title = _("Volume Retrieval")
        self.parent.categories = [translate("qSlicerAbstractCoreModule", "Informatics")]
        self.parent.dependencies = ["DICOM", "SubjectHierarchy"]
        self.parent.contributors = ["The VolumeRetrieval contributors"]
        self.parent.helpText = _(
            "Find the volumes in the DICOM database that look like the one you have open, and see side by side where "
            "in each of them the matching part is. Not for clinical use."
        )
        self.parent.acknowledgementText = _(
            "Retrieval by slice embeddings and late interaction, following published methods that the README cites."
        )
        # All need what other modules bring, so that they wait until these are loaded.
        slicer.app.connect("startupCompleted()", registerSampleData)
        slicer.app.connect("startupCompleted()", registerSubjectHierarchyPlugin)
        slicer.app.connect("startupCompleted()", registerCompareLayout)
        slicer.app.connect("startupCompleted()", startAutomaticIndexing)


#
# Register sample data sets in Sample Data module
#


def registerSampleData() -> None:
    """Add data sets to Sample Data module."""
    from VolumeRetrievalLib.Samples import SampleArchive

    SampleArchive.register(Path(__file__).parent / "Resources" / "Icons")


def registerSubjectHierarchyPlugin() -> None:
    """Add "Find similar volumes" to the context menu of volumes in the Data module."""
    path = Path(__file__).parent / "VolumeRetrievalLib" / "VolumeRetrievalSubjectHierarchyPlugin.py"
    # The class registers itself (AbstractScriptedSubjectHierarchyPlugin.py); the handler owns what is registered.
    scriptedPlugin = slicer.qSlicerSubjectHierarchyScriptedPlugin(None)
    scriptedPlugin.setPythonSource(str(path))


def registerCompareLayout() -> None:
    """Scenes that an earlier version saved while results were shown ask for this layout: without it they are empty."""
    from VolumeRetrievalLib.Views import CompareLayout

    CompareLayout.register()


def startAutomaticIndexing() -> None:
    """Watch the DICOM database from the start, if the user wants new series to be indexed automatically.

    Only the logic is made, not the panel as slicer.util.getModuleLogic does, and only when the main window has been
    drawn: it takes about a fifth of a second. Who does not index automatically pays for reading one setting.
    """
    from VolumeRetrievalLib.Settings import Settings

    if slicer.app.testingEnabled() or slicer.util.mainWindow() is None or not Settings.load().indexAutomatically:
        return
    qt.QTimer.singleShot(1000, VolumeRetrievalLogic.makeEarly)


#
# VolumeRetrievalParameterNode
#


@parameterNodeWrapper
class VolumeRetrievalParameterNode:
    """What belongs to the scene; what belongs to the user or the machine is in VolumeRetrievalLib/Settings.py.

    queryVolume - the volume to find similar ones for.
    roi - the markups ROI that marks the region of the query.
    firstSlice, lastSlice - the region of the query in slices, counted from 1.
    modality, bodyPart, dateFrom, dateTo - what results must be; empty means any.
    excludePatient - leave out other series of the query's own patient.
    top - how many results a search gives.
    followMatch - whether scrolling one volume of a comparison moves the others along.
    """

    queryVolume: vtkMRMLScalarVolumeNode
    roi: vtkMRMLMarkupsROINode
    # Without a range, connecting a spin box would take away the one that the .ui file gives it (guiConnectors.py).
    firstSlice: Annotated[int, WithinRange(1, 99999)] = 1
    lastSlice: Annotated[int, WithinRange(1, 99999)] = 1
    modality: str = ""
    bodyPart: str = ""
    dateFrom: str = ""
    dateTo: str = ""
    excludePatient: bool = False
    top: Annotated[int, WithinRange(1, 500)] = 10
    followMatch: bool = True


#
# VolumeRetrievalWidget
#


class VolumeRetrievalWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """Uses ScriptedLoadableModuleWidget base class, available at:
    https://github.com/Slicer/Slicer/blob/main/Base/Python/slicer/ScriptedLoadableModule.py
    """

    def __init__(self, parent=None) -> None:
        """Called when the user opens the module the first time and the widget is initialized."""
        self.logic = None
        self._ownLogic = None
        self.panel = None
        self._parameterNode = None
        self._parameterNodeGuiTag = None
        VTKObservationMixin.__init__(self)  # needed for scene observation; before setup(), which the next line may call
        ScriptedLoadableModuleWidget.__init__(self, parent)

    def setup(self) -> None:
        """Called when the user opens the module the first time and the widget is initialized."""
        from VolumeRetrievalLib.Packages.SlicerPackages import makeInstaller
        from VolumeRetrievalLib.Panel.Panel import Panel

        ScriptedLoadableModuleWidget.setup(self)
        uiWidget = slicer.util.loadUI(self.resourcePath("UI/VolumeRetrieval.ui"))
        self.layout.addWidget(uiWidget)
        self.ui = slicer.util.childWidgetVariables(uiWidget)
        uiWidget.setMRMLScene(slicer.mrmlScene)
        if self.logic is None:
            self.logic = self._ownLogic = VolumeRetrievalLogic.takeEarly() or VolumeRetrievalLogic()
        self.panel = Panel(self.ui, self.logic, makeInstaller(Path(self.resourcePath("requirements.txt"))))
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.StartCloseEvent, self.onSceneStartClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndCloseEvent, self.onSceneEndClose)
        self.addObserver(slicer.mrmlScene, slicer.mrmlScene.EndImportEvent, self.onSceneEndImport)
        # Whose values come from the index: the parameter node connects combo boxes with fixed values only.
        for box in (self.ui.modalityFilterComboBox, self.ui.bodyPartFilterComboBox):
            box.connect("currentIndexChanged(int)", self.onFilterChosen)
        self.initializeParameterNode()

    def cleanup(self) -> None:
        """Called when the application closes and the module widget is destroyed."""
        self.setParameterNode(None)
        self.removeObservers()
        if self.panel is not None:
            self.panel.cleanUp()
        if self._ownLogic is not None:
            self._ownLogic.cleanUp()  # ends the child processes

    def enter(self) -> None:
        """Called each time the user opens this module."""
        self.initializeParameterNode()
        self.panel.enter()

    def exit(self) -> None:
        """Called each time the user opens a different module."""
        self.setParameterNode(None)
        self.panel.leave()

    def onSceneStartClose(self, caller, event) -> None:
        """Called just before the scene is closed."""
        self.setParameterNode(None)
        self.panel.forgetResult()
        self.logic.forgetShown()

    def onSceneEndClose(self, caller, event) -> None:
        """Called just after the scene is closed."""
        self._connectIfEntered()

    def onSceneEndImport(self, caller, event) -> None:
        """Called just after a scene was opened or added: the wrapper does not notice references that came with it."""
        self.setParameterNode(None)
        self._connectIfEntered()
        self.panel.refreshShown()
        # What came with the scene is in the subject hierarchy only when the scene's batch of changes is over
        # (vtkMRMLSubjectHierarchyNode::ResolveSubjectHierarchy).
        qt.QTimer.singleShot(0, self._onSceneSettled)

    def _onSceneSettled(self) -> None:
        event = slicer.mrmlScene.EndImportEvent
        if self.hasObserver(slicer.mrmlScene, event, self.onSceneEndImport):  # not cleaned up meanwhile
            self.panel.refreshShown()

    def _connectIfEntered(self) -> None:
        # Only the parent that the module panel makes knows (qSlicerAbstractModuleWidget.h).
        if getattr(self.parent, "isEntered", False):
            self.initializeParameterNode()

    def onReload(self) -> None:
        """Reload the library and the engine, too: reloadScriptedModule (slicer/util.py) executes only this file again,
        and everything else is imported when it is needed."""
        for name in list(sys.modules):
            if name.split(".")[0] in ("VolumeRetrievalLib", "VolumeRetrievalEngine"):
                del sys.modules[name]
        ScriptedLoadableModuleWidget.onReload(self)

    def findSimilar(self, volumeNode: vtkMRMLScalarVolumeNode) -> None:
        """Search with this whole volume, or say why that cannot be done now."""
        self.initializeParameterNode()
        self.panel.searchWith(volumeNode)

    def initializeParameterNode(self) -> None:
        """Ensure parameter node exists and observed."""
        self.setParameterNode(self.logic.getParameterNode())
        if not self._parameterNode.queryVolume:
            volume = _activeVolume()
            if volume is not None:
                self._parameterNode.queryVolume = volume

    def setParameterNode(self, parameterNode: VolumeRetrievalParameterNode | None) -> None:
        """Observe this parameter node instead of the one before; None for none."""
        if self._parameterNode:
            self._parameterNode.disconnectGui(self._parameterNodeGuiTag)
            self.removeObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.onParameterNodeModified)
        self._parameterNode = parameterNode
        self._parameterNodeGuiTag = None
        if self._parameterNode:
            # The .ui file says by the dynamic property SlicerParameterName which widget shows which parameter.
            self._parameterNodeGuiTag = self._parameterNode.connectGui(self.ui)
            self.panel.filters.choose(self._parameterNode.modality, self._parameterNode.bodyPart)
            self.addObserver(self._parameterNode, vtk.vtkCommand.ModifiedEvent, self.onParameterNodeModified)

    def onParameterNodeModified(self, caller=None, event=None) -> None:
        """Its other values are connected with their widgets."""
        self.panel.filters.choose(self._parameterNode.modality, self._parameterNode.bodyPart)

    def onFilterChosen(self, *_ignored) -> None:
        """Keep what is chosen with the scene."""
        if self._parameterNode:
            self._parameterNode.modality = self.panel.filters.modality
            self._parameterNode.bodyPart = self.panel.filters.bodyPart


def _activeVolume() -> vtkMRMLScalarVolumeNode | None:
    """The volume that the slice views show; else the first of the scene. A label map is no query."""
    selected = slicer.app.applicationLogic().GetSelectionNode().GetActiveVolumeID()
    active = slicer.mrmlScene.GetNodeByID(selected) if selected else None
    volumes = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
    for volume in ([active] if active else []) + list(volumes):
        if volume.GetClassName() == "vtkMRMLScalarVolumeNode" and not volume.GetHideFromEditors():
            return volume
    return None


#
# VolumeRetrievalLogic
#


class VolumeRetrievalLogic(RetrievalLogic, ScriptedLoadableModuleLogic):
    """What the module can do without its panel, for scripts: slicer.util.getModuleLogic("VolumeRetrieval")."""

    def __init__(self, **collaborators) -> None:
        """Called when the logic class is instantiated. Can be used for initializing member variables."""
        ScriptedLoadableModuleLogic.__init__(self)
        RetrievalLogic.__init__(self, **collaborators)

    _early: ClassVar["VolumeRetrievalLogic | None"] = None

    @classmethod
    def makeEarly(cls) -> None:
        """Make the logic before the panel, which takes it over when it is opened."""
        if cls._early is None and not hasattr(slicer.modules, "VolumeRetrievalWidget"):
            cls._early = cls()

    @classmethod
    def takeEarly(cls) -> "VolumeRetrievalLogic | None":
        """The logic that was made before the panel, if there is one that nobody has taken yet."""
        early, cls._early = cls._early, None
        return early

    def getParameterNode(self) -> VolumeRetrievalParameterNode:
        """What belongs to the scene: the query, its region and what results must be."""
        return VolumeRetrievalParameterNode(super().getParameterNode())


#
# VolumeRetrievalTest
#


class VolumeRetrievalTest(ScriptedLoadableModuleTest):
    """
    Uses ScriptedLoadableModuleTest base class, available at:
    https://github.com/Slicer/Slicer/blob/main/Base/Python/slicer/ScriptedLoadableModule.py
    """

    def setUp(self):
        """Do whatever is needed to reset the state - typically a scene clear will be enough."""
        slicer.mrmlScene.Clear()

    def runTest(self):
        """Run as few or as many tests as needed here."""
        self.setUp()
        self.test_ModuleShowsItsPanel()
        self.setUp()
        self.test_WholeStory()

    def test_ModuleShowsItsPanel(self):
        """The panel is there with nothing indexed and nothing installed, and says why a search cannot start."""
        from DICOMLib import DICOMUtils

        with _temporaryFolder() as folder, DICOMUtils.TemporaryDICOMDatabase(folder):
            widget = slicer.modules.volumeretrieval.widgetRepresentation().self()
            widget.panel.refresh()
            self.assertFalse(widget.ui.searchButton.enabled)
            self.assertTrue(widget.ui.searchButton.toolTip)
        self.delayDisplay("Test passed: the panel with nothing indexed")

    def test_WholeStory(self):
        """Phantoms are imported into a temporary DICOM database, indexed, searched, compared and tidied up.

        One line a step is printed, and at the end what only a person can try.
        """
        from DICOMLib import DICOMUtils
        from VolumeRetrievalLib.Samples.SelfTest import SelfTest

        with _temporaryFolder() as folder, DICOMUtils.TemporaryDICOMDatabase(folder):
            widget = slicer.modules.volumeretrieval.widgetRepresentation().self()
            skipped = SelfTest(widget, print).run()
        self.delayDisplay("\n".join(["Test passed.", *(f"Skipped: {one}" for one in skipped)]))


def _temporaryFolder() -> tempfile.TemporaryDirectory:
    """Of our own: TemporaryDICOMDatabase leaves its folder behind, with an open file that Windows does not delete."""
    return tempfile.TemporaryDirectory(dir=slicer.app.temporaryPath, ignore_cleanup_errors=True)
