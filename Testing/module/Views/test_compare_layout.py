"""The layout: which views, where, how large, and that the window stays on the screen."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
import slicer
from slicer_application.pythonqt import unwrap
from slicer_application.window import qSlicerMainWindow
from VolumeRetrievalLib.Views import CompareLayout
from VolumeRetrievalLib.Views.CompareLayout import Column


def shape(count):
    """Of a layout for so many results: type, sizes, and the views row by row."""
    root = ElementTree.fromstring(CompareLayout.description(["axial"] * (count + 1)))
    tags = [[view.get("singletontag") for view in item.iter("view")] for item in root.findall("item")]
    return root.get("type"), [item.get("splitSize") for item in root.findall("item")], tags


@pytest.mark.parametrize("count", [1, 2, 3])
def test_up_to_three_results_stand_in_one_row_above_their_navigators(count):
    kind, sizes, rows = shape(count)
    names = ["Query", *(f"Result{number}" for number in range(1, count + 1))]
    assert (kind, sizes) == ("vertical", ["700", "300"])
    assert rows == [names, [f"{name}Navigator" for name in names]]


@pytest.mark.parametrize("count", [4, 5])
def test_four_and_five_results_stand_in_two_rows_of_three_without_navigators(count):
    root = ElementTree.fromstring(CompareLayout.description(["axial"] * (count + 1)))
    places = {
        item.find("view").get("singletontag"): (int(item.get("row")), int(item.get("column")))
        for item in root.findall("item")
    }
    assert root.get("type") == "grid"
    assert list(places) == ["Query", *(f"Result{number}" for number in range(1, count + 1))]
    assert list(places.values()) == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)][: count + 1]


def test_no_3d_view_and_each_volume_in_its_own_plane():
    root = ElementTree.fromstring(CompareLayout.description(["coronal", "axial", "sagittal"]))
    orientations = {
        view.get("singletontag"): view.find("property[@name='orientation']").text for view in root.iter("view")
    }
    assert {view.get("class") for view in root.iter("view")} == {"vtkMRMLSliceNode"}
    assert orientations == {
        "Query": "Coronal",
        "Result1": "Axial",
        "Result2": "Sagittal",
        "QueryNavigator": "Sagittal",
        "Result1Navigator": "Coronal",
        "Result2Navigator": "Axial",
    }


def test_bars_are_gray_so_that_a_color_means_something():
    root = ElementTree.fromstring(CompareLayout.description(["axial"] * 4))
    colors = {one.text.lstrip("#") for one in root.iter("property") if one.get("name") == "viewcolor"}
    assert len(colors) == 1
    (color,) = colors
    assert color[:2] == color[2:4] == color[4:]


def test_labels_are_short_and_may_hold_anything():
    root = ElementTree.fromstring(CompareLayout.description(["axial"] * 3))
    labels = [one.text for one in root.iter("property") if one.get("name") == "viewlabel"]
    assert labels == ["Q", "1", "2"] * 2
    text = CompareLayout.description(["axial"], labels=["1 <CT & PET>"])
    assert next(one.text for one in ElementTree.fromstring(text).iter("property") if "<" in one.text) == "1 <CT & PET>"


def test_no_view_id_has_a_blank_in_it_since_scene_files_separate_ids_by_blanks():
    assert not [name for name in CompareLayout.VIEW_NAMES if " " in name]


@pytest.mark.parametrize(("screen", "count"), [(1600, 3), (1920, 3), (1920, 5), (1600, 5), (1366, 1)])
def test_the_main_window_does_not_grow(screen, count):
    window = qSlicerMainWindow(screen, 900)
    try:
        window.show()
        window.panel.setFixedWidth(450)
        slicer.app.processEvents()
        CompareLayout.apply(["axial"] * (count + 1))
        for _ in range(3):
            slicer.app.processEvents()
        assert window.width() == screen
    finally:
        window.close()


def test_the_sliders_come_back_where_there_is_room():
    manager = slicer.app.layoutManager()

    def hasSlider(name):
        return not unwrap(manager.sliceWidget(name).sliceController()._qt.sliceOffsetSlider()).isHidden()

    for count, expected in ((3, False), (1, True), (5, False), (1, True)):
        CompareLayout.apply(["axial"] * (count + 1))
        assert hasSlider("Query") == hasSlider("Result1") == expected
    assert hasSlider("Red")


def test_the_views_are_linked_with_nothing_and_take_up_no_volume_that_is_loaded():
    CompareLayout.apply(["axial"] * 3)
    for node in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
        node.SetLinkedControl(True)
        node.SetHotLinkedControl(True)
    columns = CompareLayout.apply(["axial"] * 3)
    for column in columns:
        composite = slicer.app.layoutManager().sliceWidget(column.main).mrmlSliceCompositeNode()
        assert not composite.GetLinkedControl() and not composite.GetHotLinkedControl()
        assert not composite.GetDoPropagateVolumeSelection()


def test_views_that_were_there_get_group_color_and_orientation_again():
    CompareLayout.apply(["axial"] * 2)
    slicer.mrmlScene.Clear(0)  # resets what views look like
    node = slicer.app.layoutManager().sliceWidget(Column(1).main).mrmlSliceNode()
    node.SetViewGroup(1)
    node.SetLayoutColor(0, 0, 1)
    CompareLayout.apply(["axial", "coronal"])
    assert node.GetViewGroup() == Column(1).viewGroup
    assert len(set(node.GetLayoutColor())) == 1


def test_a_maximized_view_does_not_hide_the_layout():
    node = CompareLayout.layoutNode()
    node.AddMaximizedViewNode(slicer.app.layoutManager().sliceWidget("Red").mrmlSliceNode())
    CompareLayout.apply(["axial"] * 2)
    names = [one._node.GetLayoutName() for one in unwrap(slicer.app.layoutManager()).shownWidgets()]
    assert names == ["Query", "Result1", "QueryNavigator", "Result1Navigator"]


def test_a_scene_of_an_earlier_version_opens_in_views_that_slicer_has():
    node = CompareLayout.layoutNode()
    CompareLayout.register()
    CompareLayout.register()  # once is enough, twice is harmless
    assert node.IsLayoutDescription(CompareLayout.LAYOUT_ID)
