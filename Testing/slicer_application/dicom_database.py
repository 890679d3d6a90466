"""slicer.dicomDatabase: a small ctkDICOMDatabase on an SQLite file of the real schema 0.8.1.

Read in commontk/CTK 868d56c7, Libs/DICOM/Core: ctkDICOMDatabase.h (properties, invokables, signals),
ctkDICOMDatabase.cpp (databaseChanged comes from a file watcher on ctkDICOM.sql, line 1590; Images.Filename is relative
to the database folder if the file lies in it), Resources/dicom-schema.sql (tables and columns).
`importFolder` stands for an importer of Slicer, which writes through a database object of its own: seriesAdded is not
emitted, only databaseChanged (ctkDICOMIndexer.cpp:90).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

import pydicom
from PyQt5 import QtCore
from PyQt5.QtCore import pyqtProperty, pyqtSignal, pyqtSlot

# Only the columns that something here reads or writes; names and types are the schema's.
_SCHEMA = """
CREATE TABLE SchemaInfo (Version VARCHAR(1024) NOT NULL);
INSERT INTO SchemaInfo VALUES ('0.8.1');
CREATE TABLE Patients (UID INTEGER PRIMARY KEY AUTOINCREMENT, PatientsName VARCHAR(255), PatientID VARCHAR(255),
  PatientsBirthDate DATE, PatientsSex VARCHAR(1), InsertTimestamp VARCHAR(20) NOT NULL);
CREATE TABLE Studies (StudyInstanceUID VARCHAR(64) NOT NULL PRIMARY KEY, PatientsUID INT NOT NULL, StudyID VARCHAR(255),
  StudyDate DATE, StudyTime VARCHAR(20), StudyDescription VARCHAR(255), InsertTimestamp VARCHAR(20) NOT NULL);
CREATE TABLE Series (SeriesInstanceUID VARCHAR(64) NOT NULL PRIMARY KEY, StudyInstanceUID VARCHAR(64) NOT NULL,
  SeriesNumber INT, SeriesDate DATE, SeriesDescription VARCHAR(255), Modality VARCHAR(20),
  BodyPartExamined VARCHAR(255), FrameOfReferenceUID VARCHAR(64), ContrastAgent VARCHAR(255),
  InsertTimestamp VARCHAR(20) NOT NULL);
CREATE TABLE Images (SOPInstanceUID VARCHAR(64) NOT NULL PRIMARY KEY, Filename VARCHAR(1024), URL VARCHAR(2048),
  SeriesInstanceUID VARCHAR(64) NOT NULL, InsertTimestamp VARCHAR(20) NOT NULL);
CREATE INDEX ImagesFilenameIndex ON Images (Filename);
CREATE INDEX ImagesSeriesIndex ON Images (SeriesInstanceUID);
CREATE INDEX SeriesStudyIndex ON Series (StudyInstanceUID);
CREATE INDEX StudiesPatientIndex ON Studies (PatientsUID);
"""


class ctkDICOMDatabase(QtCore.QObject):
    opened = pyqtSignal()
    closed = pyqtSignal()
    databaseChanged = pyqtSignal()
    seriesAdded = pyqtSignal("QString")
    seriesRemoved = pyqtSignal("QString")
    studyRemoved = pyqtSignal("QString")
    patientRemoved = pyqtSignal("QString", "QString")
    schemaUpdated = pyqtSignal()

    def __init__(self):
        super().__init__()
        self._file = None
        self._tagCache = {}

    @pyqtSlot(str, result=bool)
    def openDatabase(self, file):
        if self._file is not None:
            self.closeDatabase()
        path = Path(file)
        path.parent.mkdir(parents=True, exist_ok=True)
        isNew = not path.exists()
        with sqlite3.connect(path) as connection:
            if isNew:
                connection.executescript(_SCHEMA)
        connection.close()
        self._file = path
        self._tagCache = {}
        self.opened.emit()
        return True

    @pyqtSlot()
    def closeDatabase(self):
        self._file = None
        self.closed.emit()

    isOpen = pyqtProperty(bool, lambda self: self._file is not None)
    databaseFilename = pyqtProperty(str, lambda self: str(self._file or ""))
    databaseDirectory = pyqtProperty(str, lambda self: str(self._file.parent) if self._file else "")
    lastError = pyqtProperty(str, lambda self: "")

    def _rows(self, query, *values):
        if QtCore.QThread.currentThread() is not self.thread():
            raise RuntimeError("ctkDICOMDatabase was used outside the main thread (QSqlDatabase is per thread)")
        if self._file is None:
            return []
        connection = sqlite3.connect(self._file)
        try:
            with connection:
                return connection.execute(query, values).fetchall()
        finally:
            connection.close()

    def _column(self, query, *values):
        return [str(row[0]) for row in self._rows(query, *values)]

    def _field(self, table, key, field, value):
        if not field.isidentifier():
            raise ValueError(field)
        found = self._rows(f"SELECT {field} FROM {table} WHERE {key} = ?", value)
        return str(found[0][0] or "") if found else ""

    @pyqtSlot(result="QStringList")
    def patients(self):
        return self._column("SELECT UID FROM Patients ORDER BY UID")

    @pyqtSlot(str, result="QStringList")
    def studiesForPatient(self, patient):
        return self._column("SELECT StudyInstanceUID FROM Studies WHERE PatientsUID = ?", patient)

    @pyqtSlot(str, result="QStringList")
    def seriesForStudy(self, study):
        return self._column("SELECT SeriesInstanceUID FROM Series WHERE StudyInstanceUID = ?", study)

    @pyqtSlot(str, result="QStringList")
    def instancesForSeries(self, series):
        return self._column("SELECT SOPInstanceUID FROM Images WHERE SeriesInstanceUID = ?", series)

    @pyqtSlot(str, result="QStringList")
    def filesForSeries(self, series):
        names = self._column("SELECT Filename FROM Images WHERE SeriesInstanceUID = ?", series)
        return [str(self._file.parent / name) for name in names]

    @pyqtSlot(str, str, result=str)
    def fieldForSeries(self, field, series):
        return self._field("Series", "SeriesInstanceUID", field, series)

    @pyqtSlot(str, str, result=str)
    def fieldForStudy(self, field, study):
        return self._field("Studies", "StudyInstanceUID", field, study)

    @pyqtSlot(str, str, result=str)
    def fieldForPatient(self, field, patient):
        return self._field("Patients", "UID", field, patient)

    @pyqtSlot(str, result=str)
    def studyForSeries(self, series):
        return self._field("Series", "SeriesInstanceUID", "StudyInstanceUID", series)

    @pyqtSlot(str, result=str)
    def patientForStudy(self, study):
        return self._field("Studies", "StudyInstanceUID", "PatientsUID", study)

    @pyqtSlot(str, result=str)
    def descriptionForSeries(self, series):
        return self.fieldForSeries("SeriesDescription", series)

    @pyqtSlot(str, result=str)
    def fileForInstance(self, instance):
        name = self._field("Images", "SOPInstanceUID", "Filename", instance)
        return str(self._file.parent / name) if name else ""

    @pyqtSlot(str, result=str)
    def seriesForFile(self, file):
        return self._field("Images", "Filename", "SeriesInstanceUID", self._internalPath(file))

    @pyqtSlot(str, result=str)
    def instanceForFile(self, file):
        return self._field("Images", "Filename", "SOPInstanceUID", self._internalPath(file))

    def _internalPath(self, file):
        path = Path(file)
        if self._file and path.is_relative_to(self._file.parent):
            path = path.relative_to(self._file.parent)
        return str(path)

    # Tags (ctkDICOMDatabase.cpp: fileValue, instanceValue, readValueFromFile): of a file that the database does not
    # hold, the value is read each time; of an instance that it does not hold, only the cache knows anything.

    @pyqtSlot(str, str, result=str)
    def fileValue(self, file, tag):
        instance = self.instanceForFile(file)
        known = self._tagCache.get((instance, tag.upper())) if instance else None
        return self._readValue(file, instance, tag) if known is None else known

    @pyqtSlot(str, str, result=str)
    def instanceValue(self, instance, tag):
        known = self._tagCache.get((instance, tag.upper()))
        if known is not None:
            return known
        file = self.fileForInstance(instance)
        return self._readValue(file, instance, tag) if file else ""

    @pyqtSlot(str, str, str, result=bool)
    def cacheTag(self, instance, tag, value):
        if self._file is None:
            return False
        self._tagCache[instance, tag.upper()] = value
        return True

    def _readValue(self, file, instance, tag):
        group, element = (int(part, 16) for part in tag.split(","))
        found = pydicom.dcmread(file, stop_before_pixels=True).get((group, element))
        value = "" if found is None or found.value is None else found.value
        text = value if isinstance(value, str) or not isinstance(value, Sequence) else "\\".join(map(str, value))
        self.cacheTag(instance, tag, str(text))
        return str(text)

    @pyqtSlot(result=int)
    def seriesCount(self):
        return int((self._column("SELECT COUNT(*) FROM Series") or [0])[0])

    @pyqtSlot(str, result=bool)
    @pyqtSlot(str, bool, result=bool)
    @pyqtSlot(str, bool, bool, result=bool)
    def removeSeries(self, series, clearCachedTags=False, cleanup=True):
        self._rows("DELETE FROM Images WHERE SeriesInstanceUID = ?", series)
        self._rows("DELETE FROM Series WHERE SeriesInstanceUID = ?", series)
        self.seriesRemoved.emit(series)
        self.databaseChanged.emit()
        return True

    def importFiles(self, files: Iterable[Path]) -> None:
        """What an importer of Slicer would do with these DICOM files, without copying them."""
        now = datetime.now().isoformat(timespec="milliseconds")
        for file in sorted(files):
            header = pydicom.dcmread(file, stop_before_pixels=True)
            known = self._rows("SELECT UID FROM Patients WHERE PatientID = ?", str(header.PatientID))
            if not known:
                self._rows(
                    "INSERT INTO Patients (PatientsName, PatientID, PatientsBirthDate, InsertTimestamp)"
                    " VALUES (?, ?, ?, ?)",
                    *(str(header.get(name, "")) for name in ("PatientName", "PatientID", "PatientBirthDate")),
                    now,
                )
                known = self._rows("SELECT UID FROM Patients WHERE PatientID = ?", str(header.PatientID))
            date = str(header.get("StudyDate", ""))
            self._rows(
                "INSERT OR IGNORE INTO Studies (StudyInstanceUID, PatientsUID, StudyDate, StudyDescription,"
                " InsertTimestamp) VALUES (?, ?, ?, ?, ?)",
                str(header.StudyInstanceUID),
                known[0][0],
                f"{date[:4]}-{date[4:6]}-{date[6:]}" if len(date) == 8 else date,
                str(header.get("StudyDescription", "")),
                now,
            )
            self._rows(
                "INSERT OR IGNORE INTO Series (SeriesInstanceUID, StudyInstanceUID, SeriesNumber, SeriesDescription,"
                " Modality, BodyPartExamined, InsertTimestamp) VALUES (?, ?, ?, ?, ?, ?, ?)",
                str(header.SeriesInstanceUID),
                str(header.StudyInstanceUID),
                int(header.get("SeriesNumber") or 0),
                str(header.get("SeriesDescription", "")),
                str(header.get("Modality", "")),
                str(header.get("BodyPartExamined", "")),
                now,
            )
            inside = file.is_relative_to(self._file.parent)
            self._rows(
                "INSERT OR REPLACE INTO Images (SOPInstanceUID, Filename, SeriesInstanceUID, InsertTimestamp)"
                " VALUES (?, ?, ?, ?)",
                str(header.SOPInstanceUID),
                str(file.relative_to(self._file.parent) if inside else file),
                str(header.SeriesInstanceUID),
                now,
            )
        self.databaseChanged.emit()
