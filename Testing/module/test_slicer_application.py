"""The stand-in for the application keeps its own rules."""

from __future__ import annotations

import ctk
import numpy as np
import pydicom
import pytest
import qt
import slicer
from slicer_application import pythonqt


def test_properties_are_attributes_and_calling_one_fails():
    button = qt.QPushButton("Search")
    assert button.text == "Search"
    button.text = "Stop"
    assert button.text == "Stop"
    with pytest.raises(TypeError):
        button.text()


def test_names_that_pythonqt_lacks_are_refused():
    button = qt.QPushButton()
    with pytest.raises(AttributeError, match="noSuchMethod"):
        button.noSuchMethod()
    with pytest.raises(AttributeError, match="new attributes"):
        button.remember = 1
    with pytest.raises(AttributeError, match="QFuture"):
        _ = qt.QFuture
    with pytest.raises(AttributeError):
        _ = qt.pyqtSignal


def test_keyword_arguments_are_refused():
    with pytest.raises(ValueError, match="keyword"):
        qt.QPushButton(text="Search")
    with pytest.raises(ValueError, match="kwargs"):
        qt.QTimer().start(msec=5)


@pytest.mark.parametrize("base", ["QThread", "QStyledItemDelegate"])
def test_classes_that_crash_slicer_cannot_be_derived_from(base):
    derived = type("Derived", (getattr(qt, base),), {})
    with pytest.raises(TypeError, match="crash"):
        derived()


def test_signals_are_connected_by_both_spellings_and_disconnected_again():
    button, seen = qt.QPushButton(), []

    def note(checked):
        seen.append(checked)

    button.connect("clicked(bool)", note)
    button.clicked.connect(note)
    button.click()
    assert seen == [False, False]
    button.disconnect("clicked(bool)", note)
    button.clicked.disconnect(note)
    button.click()
    assert seen == [False, False]


def test_a_misspelt_signal_is_an_error():
    with pytest.raises(ValueError, match="does not exist"):
        qt.QPushButton().connect("clicked(int)", print)
    with pytest.raises(AttributeError):
        qt.QPushButton().pushed.connect(print)


def test_overloaded_signals_are_told_apart():
    box, seen = qt.QComboBox(), []
    box.connect("currentIndexChanged(int)", seen.append)
    box.addItem("axial")
    assert seen == [0]


def test_slots_get_as_many_arguments_as_they_take():
    button, seen = qt.QPushButton(), []
    button.clicked.connect(lambda: seen.append("called"))
    button.click()
    assert seen == ["called"]


def test_an_error_in_a_slot_is_kept_for_the_test_to_see():
    button = qt.QPushButton()
    button.clicked.connect(lambda: 1 / 0)
    button.click()
    assert [type(one) for one in pythonqt.errorsInSlots] == [ZeroDivisionError]
    pythonqt.errorsInSlots.clear()


def test_an_event_filter_written_in_python_is_called():
    class Filter(qt.QObject):
        def __init__(self, *args):
            qt.QObject.__init__(self, *args)
            self.types = []

        def eventFilter(self, watched, event):
            self.types.append(event.type())
            return False

    button, watcher = qt.QPushButton(), Filter()
    button.installEventFilter(watcher)
    button.show()
    button.close()
    assert qt.QEvent.Show in watcher.types


def test_a_collapsible_button_hides_its_contents():
    section = ctk.ctkCollapsibleButton()
    layout = qt.QVBoxLayout(section)
    inside = qt.QLabel("inside")
    layout.addWidget(inside)
    section.collapsed = True
    assert inside.isHidden()
    section.collapsed = False
    assert not inside.isHidden()


def test_a_node_selector_follows_the_scene():
    selector, seen = slicer.qMRMLNodeComboBox(), []
    selector.nodeTypes = ["vtkMRMLScalarVolumeNode"]
    selector.connect("currentNodeChanged(vtkMRMLNode*)", seen.append)
    selector.setMRMLScene(slicer.mrmlScene)
    assert selector.currentNode() is None
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "CT")
    assert selector.currentNode() is node
    slicer.mrmlScene.RemoveNode(node)
    assert seen == [node, None]


LAYOUT = """<layout type="horizontal"><item><view class="vtkMRMLSliceNode" singletontag="StandInTest">
<property name="orientation" action="default">Coronal</property><property name="viewlabel" action="default">T</property>
<property name="viewgroup" action="default">7</property></view></item></layout>"""


def test_a_layout_makes_views_that_render_a_volume():
    voxels = np.zeros((20, 30, 40), np.float32)
    voxels[:, 10:20, 10:30] = 100
    volume = slicer.util.addVolumeFromArray(voxels, ijkToRAS=np.diag([1.0, 1, 2, 1]))
    volume.CreateDefaultDisplayNodes()
    manager = slicer.app.layoutManager()
    node = manager.layoutLogic().GetLayoutNode()
    if not node.SetLayoutDescription(901, LAYOUT):
        node.AddLayoutDescription(901, LAYOUT)
    node.SetViewArrangement(901)
    widget = manager.sliceWidget("StandInTest")
    assert (widget.mrmlSliceNode().GetViewGroup(), widget.mrmlSliceNode().GetOrientation()) == (7, "Coronal")
    assert widget.mrmlSliceNode().IsMappedInLayout()
    assert not manager.sliceWidget("Red").mrmlSliceNode().IsMappedInLayout()
    widget.mrmlSliceCompositeNode().SetBackgroundVolumeID(volume.GetID())
    widget.sliceLogic().FitSliceToAll()
    widget.sliceLogic().SetSliceOffset(15)
    pixels = widget.sliceView()._qt.pixels()
    assert pixels.max() > 200
    assert pixels[:, :5].max() < 50


def test_settings_are_kept_for_the_test_only():
    assert slicer.util.settingsValue("VolumeRetrieval/device", "") == ""
    qt.QSettings().setValue("VolumeRetrieval/device", "cpu")
    assert slicer.util.settingsValue("VolumeRetrieval/device", "") == "cpu"


def test_messages_do_not_wait_for_a_click_in_testing_mode():
    slicer.util.errorDisplay("The archive is gone")


def test_a_parameter_node_keeps_values_in_the_scene_and_in_widgets():
    from slicer.parameterNodeWrapper import parameterNodeWrapper

    @parameterNodeWrapper
    class Parameters:
        top: int = 10
        exclude: bool = False
        volume: slicer.vtkMRMLScalarVolumeNode

    class Ui:
        pass

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode")
    parameters, ui = Parameters(node), Ui()
    ui.box, ui.check = qt.QSpinBox(), qt.QCheckBox()
    ui.box.setProperty("SlicerParameterName", "top")
    ui.check.setProperty("SlicerParameterName", "exclude")
    tag = parameters.connectGui(ui)
    assert ui.box.value == 10
    ui.box.value = 20
    ui.check.checked = True
    assert (Parameters(node).top, Parameters(node).exclude) == (20, True)
    parameters.top = 30
    assert ui.box.value == 30
    parameters.disconnectGui(tag)
    ui.box.value = 40
    assert parameters.top == 30
    with pytest.raises(TypeError):
        parameters.top = "many"


def test_a_python_error_for_a_ui_file_with_an_unknown_widget(tmp_path):
    path = tmp_path / "broken.ui"
    path.write_text(
        '<ui version="4.0"><class>A</class><widget class="QWidget" name="A">'
        '<widget class="ctkNoSuch" name="b"/></widget>'
        "<customwidgets><customwidget><class>ctkNoSuch</class><extends>QWidget</extends>"
        "<header>ctkNoSuch.h</header></customwidget></customwidgets></ui>"
    )
    with pytest.raises(RuntimeError, match="ctkNoSuch"):
        slicer.util.loadUI(str(path))


def test_the_dicom_database_lists_what_was_imported(tmp_path):
    files = [_dicomFile(tmp_path / f"{index}.dcm", index) for index in range(3)]
    database, seen = slicer.dicomDatabase, []
    database.connect("databaseChanged()", lambda: seen.append("changed"))
    database.connect("seriesAdded(QString)", seen.append)
    database.openDatabase(str(tmp_path / "database" / "ctkDICOM.sql"))
    assert database.isOpen and database.databaseDirectory == str(tmp_path / "database")
    database._qt.importFiles(files)
    (patient,) = database.patients()
    (study,) = database.studiesForPatient(patient)
    (series,) = database.seriesForStudy(study)
    assert len(database.filesForSeries(series)) == 3
    assert database.fieldForSeries("Modality", series) == "CT"
    assert database.fieldForStudy("StudyDate", study) == "2026-01-02"
    assert seen == ["changed"]  # importers write through another database object


def _dicomFile(path, index):
    import pydicom
    from pydicom.uid import ExplicitVRLittleEndian

    header = pydicom.Dataset()
    header.PatientName, header.PatientID = "Doe^Jane", "1"
    header.StudyInstanceUID, header.SeriesInstanceUID = "1.2.3", "1.2.3.4"
    header.SOPInstanceUID, header.SOPClassUID = f"1.2.3.4.{index}", "1.2.840.10008.5.1.4.1.1.2"
    header.StudyDate, header.Modality = "20260102", "CT"
    header.file_meta = pydicom.dataset.FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.file_meta.MediaStorageSOPClassUID = header.SOPClassUID
    header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID
    header.save_as(path, enforce_file_format=True)
    return path


def test_an_object_that_nobody_keeps_goes_at_once():
    button, seen = qt.QPushButton(), []

    class Filter(qt.QObject):
        def eventFilter(self, watched, event):
            seen.append(event.type())
            return False

    button.installEventFilter(Filter())
    button.show()
    assert not seen
    button.installEventFilter(Filter(button))
    button.close()
    assert seen


def test_a_class_of_qt_has_no_base_but_the_wrapper():
    button = qt.QPushButton()
    assert isinstance(button, qt.QPushButton)
    assert not isinstance(button, qt.QWidget)
    assert button.inherits("QWidget")

    class Own(qt.QPushButton):
        pass

    assert isinstance(Own(), Own) and isinstance(Own(), qt.QPushButton)


def test_a_selector_without_none_takes_the_first_node_by_itself_and_none_is_no_choice():
    selector, seen = slicer.qMRMLNodeComboBox(), []
    selector.nodeTypes = ["vtkMRMLScalarVolumeNode"]
    selector.noneEnabled = False
    selector.setMRMLScene(slicer.mrmlScene)
    selector.connect("currentNodeChanged(vtkMRMLNode*)", seen.append)
    first = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "first")
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "second")
    assert (selector.currentNode(), seen) == (first, [first])
    selector.setCurrentNode(None)
    assert selector.currentNode() is None
    slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "third")
    assert selector.currentNode() is None


def test_a_reference_is_forgotten_when_a_scene_is_opened_until_the_node_is_wrapped_anew(tmp_path):
    from slicer.parameterNodeWrapper import parameterNodeWrapper

    @parameterNodeWrapper
    class Parameters:
        volume: slicer.vtkMRMLScalarVolumeNode

    node = slicer.mrmlScene.CreateNodeByClass("vtkMRMLScriptedModuleNode")
    node.UnRegister(None)
    node.SetSingletonTag("Reopened")
    node = slicer.mrmlScene.AddNode(node)
    parameters = Parameters(node)
    parameters.volume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "CT")
    slicer.util.saveScene(str(tmp_path / "scene.mrml"))
    slicer.util.loadScene(str(tmp_path / "scene.mrml"))
    node = slicer.mrmlScene.GetSingletonNode("Reopened", "vtkMRMLScriptedModuleNode")
    assert node.GetNodeReference("volume").GetName() == "CT"
    assert parameters.volume is None
    assert Parameters(node).volume.GetName() == "CT"


MODULE = """
import slicer
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule, ScriptedLoadableModuleLogic, ScriptedLoadableModuleWidget)

made = []

class Standing(ScriptedLoadableModule):
    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        slicer.app.connect("startupCompleted()", lambda: made.append("started"))

class StandingWidget(ScriptedLoadableModuleWidget):
    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        self.logic = StandingLogic()
        made.append("widget")

class StandingLogic(ScriptedLoadableModuleLogic):
    pass
"""


def test_nothing_of_a_module_runs_at_start_but_what_it_connects_and_its_logic_comes_with_its_widget(tmp_path):
    from slicer_application.modules import loadModule

    (tmp_path / "Standing.py").write_text(MODULE)
    module = loadModule(tmp_path / "Standing.py")
    assert module.made == []
    slicer.app._qt.startupCompleted.emit()
    assert module.made == ["started"]
    logic = slicer.util.getModuleLogic("Standing")
    assert module.made == ["started", "widget"]
    assert slicer.util.getModuleWidget("Standing").logic is logic


def test_a_question_is_answered_with_no_in_testing_mode():
    """util.py compares its answer in testing mode, True, with qt.QMessageBox.Ok, which is 1024."""
    assert slicer.util.confirmOkCancelDisplay("Install?") is False


def test_a_fresh_profile_has_no_dicom_database():
    assert not slicer.dicomDatabase.isOpen
    assert slicer.dicomDatabase.databaseDirectory == ""


def test_a_loaded_series_says_which_it_is_before_anything_observed_later_has_run(tmp_path):
    from DICOMLib import DICOMUtils
    from phantom_database import writePhantoms

    series = writePhantoms(tmp_path, 1, ("head",))[0]
    (loadables, _) = DICOMUtils.getLoadablesFromFileLists([[str(file) for file in series.files]])
    loadables["DICOMScalarVolumePlugin"][0].selected = True
    (identifier,) = DICOMUtils.loadLoadables(loadables)
    node = slicer.mrmlScene.GetNodeByID(identifier)
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    uid = hierarchy.GetItemUID(
        hierarchy.GetItemByDataNode(node), slicer.vtkMRMLSubjectHierarchyConstants.GetDICOMUIDName()
    )
    headers = [pydicom.dcmread(file, stop_before_pixels=True) for file in series.files]
    assert uid == headers[0].SeriesInstanceUID
    instances = node.GetAttribute("DICOM.instanceUIDs").split()
    assert sorted(instances) == sorted(str(one.SOPInstanceUID) for one in headers)


def test_while_a_scene_is_opened_its_items_are_not_in_the_subject_hierarchy_yet(tmp_path):
    """ResolveSubjectHierarchy merges nothing in a batch of changes (vtkMRMLSubjectHierarchyNode.cxx)."""
    scene, seen = slicer.mrmlScene, []

    def count(*_):
        seen.append(slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene).GetNumberOfItems())

    slicer.util.addVolumeFromArray(np.zeros((3, 3, 3), np.uint8))
    slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    tag = scene.AddObserver(scene.EndImportEvent, count)
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    scene.RemoveObserver(tag)
    count()
    assert seen == [0, 1]
