"""The panel fits: 340 to 450 pixels of width, 740 to 1080 of height, with every section closed or open."""

from __future__ import annotations

from dataclasses import replace

import pytest
import qt
import slicer
from fake_logic import READY, FakeInstaller, FakeLogic, aResult
from panel_factory import loadFont, makePanel
from PyQt5 import QtGui, QtWidgets
from slicer_application import i18n
from test_panel_advanced import NOTHING_INSTALLED
from VolumeRetrievalEngine.encoders.default import DefaultEncoder
from VolumeRetrievalEngine.progress import Progress

SECTIONS = ("filters", "matchMap", "index", "advanced", "encoders")
#: What Slicer's main window and the module panel take of a screen of 740 pixels.
ROOM_ON_A_SHORT_SCREEN = 530


@pytest.fixture
def filled(aVolume):
    """A panel with the longest texts that it shows, in the widest font at hand; SECTIONS are closed."""
    before = QtWidgets.QApplication.instance().font()
    loadFont()
    logic = FakeLogic(
        replace(
            READY,
            removed=12,
            nextSliceStepMm=6.0,
            better="radiology-resnet",
            lastFailure="Another Slicer or a nightly run is indexing this database, since 2026-11-29 12:13:08.",
        )
    )
    panel, widget = makePanel(logic, FakeInstaller(NOTHING_INSTALLED))
    aVolume("Chest-abdomen-pelvis 4.0 mm with contrast, portal venous phase")
    panel.showResult(panel.search.request(), aResult(12))
    panel.ui.skippedButton.checked = True
    panel.ui.dateFromLineEdit.text = "1.2.2010"
    reason = "radiology-resnet runs by onnxruntime on the processor; PyTorch with MONAI is not installed (no torch)"
    panel.ui.advancedCollapsibleButton.collapsed = False
    panel.ui.encodersCollapsibleButton.collapsed = False
    logic.questions[0].finish(DefaultEncoder("radiology-resnet", "onnxruntime", reason))
    panel.encoders.select("radswin")
    for name in SECTIONS:
        getattr(panel.ui, f"{name}CollapsibleButton").collapsed = True
    widget.show()
    yield panel, widget, logic
    panel.cleanUp()
    widget.close()
    QtWidgets.QApplication.instance().setFont(before)


def settle(widget, width, height):
    for _ in range(4):  # a label's height follows its width, and the next one's place the label
        widget.resize(width, height)
        slicer.app.processEvents()


def openSections(panel, *names):
    for name in names:
        getattr(panel.ui, f"{name}CollapsibleButton").collapsed = False
    slicer.app.processEvents()


def test_the_panel_can_be_340_pixels_wide_whatever_is_open(filled):
    panel, widget, _logic = filled
    widths = {}
    for names in ((), *((name,) for name in SECTIONS[:4]), SECTIONS):
        openSections(panel, *names)
        for kind in ("volume", "roi", "segment", "slices"):
            panel.region.choose(kind)
            settle(widget, 340, 900)
            widths[(*names, kind)] = widget._qt.minimumSizeHint().width()
        for name in names:
            getattr(panel.ui, f"{name}CollapsibleButton").collapsed = True
    assert {what: width for what, width in widths.items() if width > 340} == {}


def test_the_module_panel_asks_for_no_more_than_340_pixels_whatever_is_open(filled):
    """Seen in a real Slicer 5.12.3: qSlicerModulePanel sets the module's policy to Minimum, so that what the panel
    would like to have counts, and adds its margins and the size hint of a scroll bar (55 pixels) to it. And in what
    margins and a scroll bar leave of 340 pixels the contents have their place.
    """
    panel, widget, _logic = filled
    module = QtWidgets.QWidget()
    module.setSizePolicy(QtWidgets.QSizePolicy.Minimum, QtWidgets.QSizePolicy.Preferred)
    contents = QtWidgets.QWidget()
    for outer, inner in ((contents, module), (module, widget._qt)):
        layout = QtWidgets.QVBoxLayout(outer)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(inner)
    contents.show()
    widths = {}
    openSections(panel, *SECTIONS)
    for kind in ("volume", "roi", "segment", "slices"):
        panel.region.choose(kind)
        slicer.app.processEvents()
        widths[kind] = (
            contents.minimumSizeHint().width() + 13 + 55,
            widget._qt.layout().minimumSize().width() + 13 + 15,
        )
    widget._qt.setParent(None)
    assert {kind: both for kind, both in widths.items() if max(both) > 340} == {}


def test_it_keeps_its_width_while_it_works(filled):
    panel, widget, logic = filled
    openSections(panel, *SECTIONS)
    panel.ui.dateFromLineEdit.text = ""
    settle(widget, 340, 900)
    narrowest = widget._qt.minimumSizeHint().width()
    step = Progress("index", 123_456, 234_567, "A long name, 2023-10-02, Chest-abdomen-pelvis", remaining=7e4)
    logic.changeStatus(replace(logic.current, indexing=step))
    panel.ui.searchButton.click()
    panel.status.showError("A sentence that is much longer than the panel is wide. " * 4)
    panel.ui.dateFromLineEdit.text = "2010-02-03"
    settle(widget, 340, 900)
    assert widget._qt.minimumSizeHint().width() <= max(narrowest, 340)


def test_on_a_short_screen_everything_but_closed_contents_is_in_view(filled):
    panel, widget, _logic = filled
    settle(widget, 450, ROOM_ON_A_SHORT_SCREEN)
    assert widget._qt.minimumSizeHint().height() <= ROOM_ON_A_SHORT_SCREEN
    assert panel.ui.resultsTable.viewport().height >= 3 * 48


def test_on_a_usual_screen_eight_results_are_in_view(filled):
    panel, widget, _logic = filled
    settle(widget, 450, 780)
    assert panel.ui.resultsTable.viewport().height >= 8 * 48


def test_nothing_lies_over_its_neighbor_and_no_label_is_cut(filled):
    panel, widget, _logic = filled
    panel.region.choose("slices")
    openSections(panel, *SECTIONS)
    for width in (340, 390, 450):
        settle(widget, width, 100)  # the module panel's scroll area asks for the minimum
        settle(widget, width, widget._qt.minimumSizeHint().height())
        expectNoOverlap(widget)


def expectNoOverlap(widget):
    for layout in widget._qt.findChildren(QtWidgets.QLayout):
        shown = [layout.itemAt(index).widget() for index in range(layout.count())]
        shown = [one for one in shown if one is not None and one.isVisible()]
        for one in shown:
            for other in shown:
                if one is not other and not isinstance(layout, QtWidgets.QStackedLayout):
                    assert not one.geometry().intersects(other.geometry()), (one.objectName(), other.objectName())
    for label in widget._qt.findChildren(QtWidgets.QLabel):
        if label.isVisible() and label.wordWrap() and label.text():
            assert label.height() >= label.heightForWidth(label.width()), label.objectName()


def test_every_control_has_a_tooltip_and_can_be_reached_by_keyboard(panel):
    kinds = ("QPushButton", "QToolButton", "QCheckBox", "QComboBox", "QLineEdit", "QSpinBox", "QDoubleSpinBox",
             "QTreeWidget", "QTableWidget", "qMRMLNodeComboBox", "QProgressBar")  # fmt: skip
    controls = [one for one in vars(panel.ui).values() if one.className() in kinds and not one.name.startswith("qt_")]
    assert len(controls) > 40
    for one in controls:
        assert one.toolTip, f"{one.name} has no tooltip"
        reachable = one.focusPolicy & qt.Qt.TabFocus or one._qt.focusProxy() is not None
        assert reachable or one.className() == "QProgressBar", f"{one.name} cannot be reached by keyboard"


def test_tab_goes_from_the_top_to_the_bottom(panel, aVolume):
    aVolume()
    panel.showResult(panel.search.request(), aResult(3))
    slicer.app.processEvents()
    names = ("queryVolumeSelector", "regionComboBox", "fromViewButton", "searchButton", "exportButton", "resultsTable",
             "compareButton", "updateIndexButton")  # fmt: skip
    tops = []
    order = []
    widget = panel.ui.queryVolumeSelector._qt
    for _ in range(200):
        order.append(widget.objectName())
        widget = widget.nextInFocusChain()
    found = [order.index(name) for name in names]
    assert found == sorted(found), dict(zip(names, found, strict=True))
    assert tops == []


def test_nothing_speaks_of_a_command_line_or_the_inner_workings(filled):
    panel, widget, _logic = filled
    openSections(panel, *SECTIONS)
    texts = [one.text() for one in widget._qt.findChildren((QtWidgets.QLabel, QtWidgets.QAbstractButton))]
    for text in texts:
        for word in ("python -m", "pip install", "console", "embedding", "float32", "--"):
            assert word not in text, text


def test_texts_of_the_code_are_translatable(logic, aVolume):
    i18n.translation.append(lambda text: f"«{text}»")
    panel, _widget = makePanel(logic, FakeInstaller(NOTHING_INSTALLED))
    ui = panel.ui
    assert ui.resultsEmptyLabel.text.startswith("«")
    aVolume()
    panel.showResult(panel.search.request(), aResult(2))
    panel.region.choose("slices")
    texts = [ui.indexCollapsibleButton.text, ui.indexStatusLabel.text, ui.skippedButton.text, panel.status.text]
    texts += [
        ui.compareButton.text,
        ui.removeShownButton.toolTip,
        ui.regionInfoLabel.text,
        ui.regionComboBox.itemText(0),
    ]
    texts += [panel.results.table.row(0).place]
    for text in texts:
        assert text.startswith("«") and text.endswith("»"), text


def test_in_the_dark_theme_texts_are_light(filled):
    panel, _widget, _logic = filled
    panel.ui.dateFromLineEdit.text = ""  # else the results are of another search, and pale
    application = QtWidgets.QApplication.instance()
    light = application.palette()
    application.setPalette(QtGui.QPalette(QtGui.QColor(50, 50, 50)))
    slicer.app.processEvents()
    icon = panel.ui.resultsTable.item(0, 0).icon()._qt
    image = icon.pixmap(panel.ui.resultsTable._qt.iconSize()).toImage()
    brightest = max(image.pixelColor(x, y).lightness() for x in range(52, 150) for y in range(22) if
                    image.pixelColor(x, y).alpha() > 200)  # fmt: skip
    application.setPalette(light)
    slicer.app.processEvents()
    assert brightest > 200
