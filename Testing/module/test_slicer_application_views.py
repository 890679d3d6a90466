"""What the stand-in says of views, layouts and their sizes is what a real Slicer 5.12.3 does (see its sources)."""

from __future__ import annotations

import numpy as np
import pytest
import qt
import slicer
from slicer_application import data_probe, openedElsewhere
from slicer_application.pythonqt import unwrap
from slicer_application.window import qSlicerMainWindow


def views(*tags: str, kind: str = "vtkMRMLSliceNode") -> str:
    items = "".join(f'<item><view class="{kind}" singletontag="{tag}"/></item>' for tag in tags)
    return f'<layout type="horizontal">{items}</layout>'


@pytest.fixture
def layoutNode():
    node = slicer.app.layoutManager().layoutLogic().GetLayoutNode()
    yield node
    node.RemoveAllMaximizedViewNodes()
    node.SetViewArrangement(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)


def apply(node, identifier: int, text: str) -> None:
    if not node.SetLayoutDescription(identifier, text):
        node.AddLayoutDescription(identifier, text)
    node.SetViewArrangement(identifier)


def shown() -> list[str]:
    return [widget._node.GetLayoutName() for widget in unwrap(slicer.app.layoutManager()).shownWidgets()]


def test_a_3d_view_is_found_by_its_node_name_which_is_not_its_tag(layoutNode):
    apply(layoutNode, 902, views("Solid", kind="vtkMRMLViewNode"))
    manager = slicer.app.layoutManager()
    node = slicer.mrmlScene.GetSingletonNode("Solid", "vtkMRMLViewNode")
    assert (node.GetName(), node.GetLayoutName()) == ("ViewSolid", "Solid")
    assert manager.threeDWidget("Solid") is None
    assert manager.threeDWidget("ViewSolid").mrmlViewNode() is node
    assert manager.threeDWidget("View1") is not None  # the one that Slicer starts with


def test_a_slice_view_is_found_by_its_tag_which_is_its_node_name(layoutNode):
    apply(layoutNode, 903, views("Thin"))
    manager = slicer.app.layoutManager()
    assert manager.sliceWidget("Thin").mrmlSliceNode().GetName() == "Thin"
    manager.sliceWidget("Thin").mrmlSliceNode().SetName("Renamed")
    assert manager.sliceWidget("Thin") is None
    manager.sliceWidget("Renamed").mrmlSliceNode().SetName("Thin")


def test_a_maximised_view_hides_the_arrangement_that_is_set_after_it(layoutNode):
    manager = slicer.app.layoutManager()
    layoutNode.AddMaximizedViewNode(manager.sliceWidget("Red").mrmlSliceNode())
    assert shown() == ["Red"]
    apply(layoutNode, 904, views("Left", "Right"))
    assert manager.layout == 904
    assert shown() == ["Red"]
    assert not manager.sliceWidget("Left").mrmlSliceNode().IsMappedInLayout()
    layoutNode.RemoveAllMaximizedViewNodes()
    assert shown() == ["Left", "Right"]


def test_setting_the_managers_layout_ends_a_maximised_view_but_setting_the_same_one_does_nothing(layoutNode):
    manager = slicer.app.layoutManager()
    layoutNode.AddMaximizedViewNode(manager.sliceWidget("Red").mrmlSliceNode())
    manager.setLayout(manager.layout)
    assert shown() == ["Red"]
    manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutSideBySideView)
    assert shown() == ["Red", "Yellow"]


def test_the_button_in_a_views_bar_maximises_it(layoutNode):
    bar = slicer.app.layoutManager().sliceWidget("Green").sliceController()
    bar.maximizeView()
    assert shown() == ["Green"]
    bar.maximizeView()
    assert len(shown()) == 4


def test_an_arrangement_that_nobody_knows_is_an_empty_window(layoutNode):
    slicer.vtkMRMLLayoutNode.GlobalWarningDisplayOff()
    layoutNode.SetViewArrangement(98765)  # "Can't find layout:98765"
    slicer.vtkMRMLLayoutNode.GlobalWarningDisplayOn()
    assert shown() == []
    assert not slicer.app.layoutManager().sliceWidget("Red").mrmlSliceNode().IsMappedInLayout()
    slicer.app.layoutManager().setLayout(98766)  # the manager takes the conventional layout instead
    assert slicer.app.layoutManager().layout == slicer.vtkMRMLLayoutNode.SlicerLayoutConventionalView


def test_a_saved_scene_has_no_layout_descriptions_and_view_groups_as_true(layoutNode, tmp_path):
    apply(layoutNode, 905, views("Saved"))
    slicer.app.layoutManager().sliceWidget("Saved").mrmlSliceNode().SetViewGroup(314)
    path = tmp_path / "scene.mrml"
    assert slicer.util.saveScene(str(path))
    assert 'viewGroup="true"' in path.read_text()
    other = openedElsewhere(path)
    assert (other.arrangement, other.views) == (905, [])
    assert other.node("vtkMRMLSliceNode", "Saved").GetViewGroup() == 1


def test_no_event_tells_that_a_scene_is_being_saved(layoutNode, tmp_path):
    """vtkMRMLScene.h has StartSaveEvent and EndSaveEvent, but nothing in Slicer 5.12 starts a SaveState."""
    seen = []
    scene = slicer.mrmlScene
    tags = [scene.AddObserver(one, lambda *_: seen.append(1)) for one in (scene.StartSaveEvent, scene.EndSaveEvent)]
    slicer.util.saveScene(str(tmp_path / "scene.mrml"))
    slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    for tag in tags:
        scene.RemoveObserver(tag)
    assert not seen


def test_a_layout_node_that_is_not_saved_leaves_the_layout_of_whoever_opens_the_file(layoutNode, tmp_path):
    apply(layoutNode, 906, views("Unsaved"))
    layoutNode.SetSaveWithScene(False)
    try:
        slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    finally:
        layoutNode.SetSaveWithScene(True)
    assert sorted(openedElsewhere(tmp_path / "scene.mrb").views) == ["1", "Green", "Red", "Yellow"]


def test_closing_the_scene_keeps_the_arrangement(layoutNode):
    apply(layoutNode, 907, views("Kept"))
    slicer.mrmlScene.Clear(0)
    assert slicer.app.layoutManager().layout == 907
    assert shown() == ["Kept"]


def test_views_are_made_at_the_end_of_a_batch_of_changes(layoutNode):
    scene = slicer.mrmlScene
    scene.StartState(scene.BatchProcessState)
    try:
        apply(layoutNode, 908, views("Batched"))
        assert slicer.app.layoutManager().sliceWidget("Batched") is None
    finally:
        scene.EndState(scene.BatchProcessState)
    assert slicer.app.layoutManager().sliceWidget("Batched").mrmlSliceNode().IsMappedInLayout()


def test_rendering_is_paused_in_all_views_also_in_those_made_meanwhile(layoutNode):
    manager = slicer.app.layoutManager()
    with slicer.util.RenderBlocker():
        apply(layoutNode, 909, views("Paused"))
        assert manager.allViewsPauseRenderCount() == 1
        assert unwrap(manager.sliceWidget("Paused").sliceView()).pauses == 1
        assert unwrap(manager.sliceWidget("Red").sliceView()).pauses == 1
    assert unwrap(manager.sliceWidget("Paused").sliceView()).pauses == 0


def test_what_has_no_view_ids_is_seen_in_every_view_also_in_later_ones(layoutNode):
    display = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsDisplayNode")
    apply(layoutNode, 910, views("Later"))
    later = slicer.app.layoutManager().sliceWidget("Later").mrmlSliceNode().GetID()
    assert display.IsDisplayableInView(later)
    display.SetViewNodeIDs([slicer.app.layoutManager().sliceWidget("Red").mrmlSliceNode().GetID()])
    assert not display.IsDisplayableInView(later)


def test_columns_of_slice_views_make_the_window_grow_past_the_screen_unless_their_sliders_are_hidden(layoutNode):
    window = qSlicerMainWindow(1366, 740)
    try:
        panel = qt.QWidget()
        panel.setLayout(qt.QVBoxLayout())
        panel.setMinimumWidth(390)
        window.showModule(panel)
        assert window.width() == 1366
        tags = [f"Column{number}" for number in range(4)]
        apply(layoutNode, 911, views(*tags))
        window.settle()
        assert window.width() > 4 * 331 + 390
        for tag in tags:
            slicer.app.layoutManager().sliceWidget(tag).sliceController().sliceOffsetSlider().setVisible(False)
        window.settle()
        window.resize(1366, 740)
        window.settle()
        assert window.width() == 1366
    finally:
        window.close()


def test_a_views_label_is_cut_where_the_slider_needs_the_room(layoutNode):
    window = qSlicerMainWindow(1366, 740)
    try:
        apply(layoutNode, 912, views("Narrow", "Other", "Third", "Fourth"))
        controller = slicer.app.layoutManager().sliceWidget("Narrow").sliceController()
        slicer.app.layoutManager().sliceWidget("Narrow").mrmlSliceNode().SetLayoutLabel("2  CRLM-CT-1004  0.48")
        window.settle()
        label = unwrap(controller.viewLabel())
        assert label.width() < label.sizeHint().width()
        controller.sliceOffsetSlider().setVisible(False)
        window.settle()
        assert label.width() >= label.sizeHint().width()
    finally:
        window.close()


@pytest.fixture
def bothLabels():
    """A module panel of a collapsible button with a long wrapped label above a second one."""
    import ctk

    panel = qt.QWidget()
    panel.setLayout(qt.QVBoxLayout())
    section = ctk.ctkCollapsibleButton()
    panel.layout().addWidget(section)
    inside = qt.QVBoxLayout(section)
    upper, lower = qt.QLabel("Radiology ResNet ran through onnxruntime, which is slow here. " * 8), qt.QLabel("below")
    upper.wordWrap = True
    inside.addWidget(upper)
    inside.addWidget(lower)
    window = qSlicerMainWindow(1366, 740)
    window.showModule(panel)
    yield window, panel, upper, lower
    window.close()


def test_a_wrapped_labels_size_hint_is_the_panels_least_width_unless_its_policy_is_ignored(bothLabels):
    window, _panel, upper, _lower = bothLabels
    hint = upper.sizeHint.width()
    assert hint > 300
    assert window.panel.minimumSizeHint().width() > hint
    upper.setSizePolicy(qt.QSizePolicy.Ignored, qt.QSizePolicy.Preferred)
    window.settle()
    assert window.panel.minimumSizeHint().width() < 200


def test_the_panel_gives_a_wrapped_label_less_height_than_its_text_needs(bothLabels):
    window, _panel, upper, _lower = bothLabels
    upper.setSizePolicy(qt.QSizePolicy.Ignored, qt.QSizePolicy.Preferred)
    filler = qt.QWidget()
    filler.setMinimumHeight(2000)
    unwrap(upper).parentWidget().layout().addWidget(unwrap(filler))
    window.settle()
    label = unwrap(upper)
    assert label.height() < label.heightForWidth(label.width())
    upper.setMinimumHeight(label.heightForWidth(label.width()))
    window.settle()
    assert label.height() >= label.heightForWidth(label.width())


def test_a_corner_text_is_drawn_in_the_view(layoutNode):
    view = slicer.app.layoutManager().sliceWidget("Red").sliceView()
    before = np.array(unwrap(view).pixels())
    view.cornerAnnotation().SetText(2, "slice 28 of 41")
    assert (np.array(unwrap(view).pixels()) != before).any()
    view.cornerAnnotation().ClearAllTexts()


def test_the_data_probe_writes_into_all_corners_of_a_views_own_annotation(layoutNode):
    view = slicer.app.layoutManager().sliceWidget("Red").sliceView()
    view.cornerAnnotation().SetText(2, "ours")
    data_probe.update()
    assert view.cornerAnnotation().GetText(2) == ""


def test_resetting_a_3d_views_camera_takes_in_the_box_over_all_volumes(layoutNode):
    """qMRMLThreeDView.cxx: resetFocalPoint hides the box meanwhile, resetCamera does not."""
    slicer.util.addVolumeFromArray(np.ones((300, 300, 300), np.uint8))
    widget = slicer.app.layoutManager().threeDWidget("View1")
    camera = unwrap(widget)._view.first_renderer().GetActiveCamera()
    distances = []
    for isVisible in (False, True):
        widget.mrmlViewNode().SetBoxVisible(isVisible)
        widget.mrmlViewNode().SetAxisLabelsVisible(isVisible)
        widget.threeDView().resetCamera()
        distances.append(camera.GetDistance())
    assert distances[1] > max(distances[0], 300)


def test_the_cursor_is_the_applications():
    with slicer.util.WaitCursor():
        assert qt.QApplication.overrideCursor().shape() == qt.Qt.WaitCursor
    assert qt.QApplication.overrideCursor() is None
