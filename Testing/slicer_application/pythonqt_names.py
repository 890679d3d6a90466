"""What of Qt PythonQt offers, as far as the module needs it.

Properties, slots, signals and enumerations of a QObject come from Qt's own meta object, as in PythonQt. Everything
else PythonQt knows through generated wrappers; the methods below were read in them (MeVisLab/pythonqt of
2026, generated_cpp_515/com_trolltech_qt_core, _gui and their _builtin: `PythonQtWrapper_<class>::<method>`).
A method that is not here is refused: look it up there before adding it.
"""

from __future__ import annotations


def _of(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: Classes of `qt`. PythonQt puts QtCore, QtGui and QtWidgets into one name space (CTK, Libs/Scripting/Python/Core/
#: Python/qt/__init__.py.in).
classes = {
    "QtCore": _of(
        "QObject QTimer QEvent QFile QDir QFileInfo QSettings QSize QSizeF QPoint QPointF QRect QRectF QUrl "
        "QByteArray QDate QDateTime QLocale QProcess QProcessEnvironment QThread QStandardPaths "
        "QItemSelectionModel QModelIndex QEventLoop"
    ),
    "QtGui": _of(
        "QIcon QPixmap QImage QPainter QColor QPen QBrush QFont QFontMetrics QPolygonF QPalette QCursor "
        "QKeySequence QMouseEvent QKeyEvent QDesktopServices"
    ),
    "QtWidgets": _of(
        "QApplication QWidget QFrame QLabel QPushButton QToolButton QRadioButton QCheckBox QComboBox QSpinBox "
        "QDoubleSpinBox QLineEdit QProgressBar QSlider QGroupBox QStackedWidget QTableWidget QTableWidgetItem "
        "QTreeWidget QTreeWidgetItem QHeaderView QAbstractItemView QTableView QAbstractItemDelegate "
        "QScrollArea QScrollBar QSizePolicy QHBoxLayout QVBoxLayout QGridLayout QFormLayout QLayout "
        "QSpacerItem QSplitter QMenu QAction QMessageBox QDialog QDialogButtonBox QFileDialog QProgressDialog "
        "QStyle QStyledItemDelegate QShortcut QPlainTextEdit QDateEdit QMainWindow QAbstractButton "
        "QButtonGroup QAbstractSlider QToolTip"
    ),
}

#: Classes that exist in PythonQt, but that our code must not derive from.
notToDerive = {
    "QThread": "Python code in a QThread crashes Slicer: no QThread in Python (Slicer documentation, python_faq.md)",
    "QAbstractItemDelegate": "delegates written in Python crash Slicer (displayText, Slicer issue 9127)",
    "QAbstractItemModel": "item models written in Python are called for every cell and are not used in Slicer's core",
}

#: The names that CTK's and Slicer's own classes have in their meta objects, where ours differ.
classNames: dict[str, str] = {}


methods = {
    # PythonQtStdDecorators.h (connect, disconnect and findChild(ren) are in pythonqt.py)
    "QObject": _of(
        "parent setParent children setProperty property tr installEventFilter removeEventFilter "
        "blockSignals signalsBlocked objectName setObjectName deleteLater isWidgetType moveToThread thread "
        "startTimer killTimer eventFilter event metaObject"
    ),
    "QCoreApplication": _of("processEvents instance sendEvent postEvent translate arguments applicationPid"),
    "QGuiApplication": _of("overrideCursor setOverrideCursor restoreOverrideCursor clipboard keyboardModifiers"),
    "QApplication": _of("topLevelWidgets activeWindow style setStyle"),
    "QTimer": _of("singleShot isActive setSingleShot isSingleShot setInterval interval"),
    "QEvent": _of("type accept ignore isAccepted"),
    "QMouseEvent": _of("x y pos button buttons"),
    "QInputEvent": _of("modifiers"),
    "QKeyEvent": _of("key text"),
    "QFile": _of("exists open"),
    "QDir": _of("mkpath exists absolutePath"),
    "QFileInfo": _of("absoluteFilePath"),
    "QSettings": _of("value setValue contains remove sync"),
    "QSize": _of("width height"),
    "QPoint": _of("x y"),
    "QPointF": _of("x y"),
    "QRect": _of("x y width height left right top bottom center contains"),
    "QUrl": _of("fromLocalFile toString"),
    "QDesktopServices": _of("openUrl"),
    "QByteArray": _of("size data length"),
    "QDate": _of("toString currentDate fromString isValid"),
    "QDateTime": _of("currentDateTime toString"),
    "QLocale": _of("toString"),
    "QThread": _of("currentThread msleep"),
    "QIcon": _of("isNull pixmap addPixmap"),
    "QPixmap": _of(
        "isNull width height setDevicePixelRatio devicePixelRatio loadFromData scaled size fill save fromImage rect"
    ),
    "QImage": _of("isNull width height loadFromData scaled size fill save pixel setPixel"),
    "QPaintDevice": _of("width height devicePixelRatioF"),
    "QPainter": _of(
        "begin end drawLine drawRect drawText drawPixmap drawPolyline setPen setBrush setRenderHint "
        "drawRoundedRect setFont fillRect translate rotate drawImage save restore setOpacity drawEllipse drawPoint"
    ),
    "QCursor": _of("shape pos"),
    "QColor": _of("red green blue name setAlpha lighter darker"),
    "QPen": _of("setWidth setWidthF setColor setStyle setCosmetic"),
    "QFont": _of("setBold setPointSize pointSize setItalic"),
    "QFontMetrics": _of("width height elidedText horizontalAdvance ascent descent lineSpacing"),
    "QPalette": _of("color"),
    "QWidget": _of(
        "setLayout layout isEnabled isVisible isHidden isVisibleTo rect grab setSizePolicy setFixedHeight "
        "setMinimumHeight setMinimumWidth setMaximumHeight setFixedWidth setContentsMargins window "
        "addAction hide style fontMetrics heightForWidth adjustSize resize setTabOrder hasFocus "
        "mapToGlobal mapFromGlobal "
        "sizePolicy palette parentWidget setParent setAttribute setMouseTracking setFixedSize "
        "setToolTip setAccessibleName isWindow activateWindow render font actions setWindowFlags "
        "windowFlags setBackgroundRole setFocusProxy setMinimumSize sizeHint "
        "screen"  # and QScreen's property availableGeometry: seen in a real Slicer 5.12.3
    ),
    "QAbstractButton": _of("isChecked setText setIcon isCheckable setChecked text icon group"),
    "QPushButton": _of("setMenu menu"),
    "QToolButton": _of("setMenu setPopupMode setDefaultAction defaultAction"),
    "QComboBox": _of(
        "addItem addItems insertItem itemText itemData setItemData findText findData count clear "
        "setItemText removeItem currentText currentIndex"
    ),
    "QProgressBar": _of("setRange"),
    "QSpinBox": _of("setRange"),
    "QDoubleSpinBox": _of("setRange"),
    "QAbstractSlider": _of("setRange value"),
    "QLabel": _of("setBuddy setPixmap setNum"),
    "QStackedWidget": _of("widget indexOf addWidget count"),
    "QTableWidget": _of(
        "item setItem takeItem setHorizontalHeaderLabels rowCount columnCount setRowCount "
        "setColumnCount currentRow selectedItems setCurrentCell row column horizontalHeaderItem "
        "cellWidget setCellWidget visualItemRect currentItem setCurrentItem sortItems"
    ),
    "QTableWidgetItem": _of(
        "text setText icon setIcon data setData flags setFlags toolTip setToolTip checkState "
        "setCheckState row column setTextAlignment setBackground setForeground setSelected "
        "isSelected"
    ),
    "QTableView": _of(
        "horizontalHeader verticalHeader setSortingEnabled rowHeight columnWidth setColumnWidth "
        "setRowHeight isColumnHidden rowAt"
    ),
    "QTreeView": _of("header setColumnWidth"),
    "QTreeWidget": _of(
        "addTopLevelItem topLevelItem invisibleRootItem setHeaderLabels selectedItems currentItem "
        "setCurrentItem topLevelItemCount clear takeTopLevelItem setColumnCount"
    ),
    "QTreeWidgetItem": _of(
        "text setText setToolTip toolTip addChild child childCount data setData setFlags flags "
        "setExpanded isExpanded setHidden isHidden parent setSelected isSelected setIcon checkState setCheckState"
    ),
    "QHeaderView": _of(
        "setSectionResizeMode resizeSection sectionSize setStretchLastSection setDefaultSectionSize "
        "setSortIndicator sortIndicatorSection sortIndicatorOrder setSectionHidden hide"
    ),
    "QAbstractItemView": _of(
        "setTextElideMode selectionModel setSelectionMode setSelectionBehavior setIconSize setEditTriggers "
        "currentIndex indexAt setModel model visualRect"
    ),
    "QAbstractScrollArea": _of("viewport verticalScrollBar horizontalScrollBar setVerticalScrollBarPolicy"),
    "QScrollArea": _of("setWidget widget"),
    "QItemSelectionModel": _of("selectedRows hasSelection isRowSelected currentIndex"),
    "QModelIndex": _of("row column isValid data"),
    "QLayout": _of("addWidget removeWidget removeItem count itemAt setContentsMargins setEnabled takeAt"),
    "QBoxLayout": _of(
        "addWidget addLayout addStretch insertWidget insertLayout addSpacing addSpacerItem setStretch setStretchFactor "
        "removeWidget"
    ),
    "QGridLayout": _of("addWidget addLayout setColumnStretch setRowStretch"),
    "QFormLayout": _of("addRow labelForField"),
    "QStackedLayout": _of("addWidget"),
    "QSplitter": _of("addWidget setSizes setStretchFactor"),
    "QMenu": _of("addAction addSeparator addMenu exec popup clear"),
    "QAction": _of("setText setToolTip setStatusTip isEnabled isChecked setChecked text"),
    "QMessageBox": _of(
        "setStandardButtons setText setDetailedText addButton clickedButton exec button setDefaultButton"
    ),
    "QDialogButtonBox": _of("addButton button"),
    "QProgressDialog": _of("setCancelButton"),
    "QDialog": _of("exec result"),
    "QFileDialog": _of("getOpenFileName getSaveFileName getExistingDirectory"),
    "QStyle": _of("standardIcon"),
    "QProcess": _of(
        "start readAllStandardOutput readAllStandardError state setProcessEnvironment program "
        "waitForStarted waitForFinished closeWriteChannel exitCode processId canReadLine "
        "setProcessChannelMode setWorkingDirectory arguments setProgram setArguments error exitStatus"
    ),
    "QIODevice": _of("close readAll readLine write canReadLine bytesAvailable isOpen errorString"),
    "QProcessEnvironment": _of("insert value contains keys remove systemEnvironment toStringList"),
    "QStandardPaths": _of("writableLocation"),
    "QToolTip": _of("showText"),
    "QEventLoop": _of("exec exit"),
    "QButtonGroup": _of("addButton setId id checkedId checkedButton button"),
    "QUiLoader": _of("load"),
    # Invokable there (qSlicerSubjectHierarchyPluginHandler.h), no slot of the stand-in's
    "qSlicerSubjectHierarchyPluginHandler": _of("instance"),
}
