"""What the DICOM database knows about its series. Only on the main thread.

Read in commontk/CTK 868d56c7, Libs/DICOM/Core/ctkDICOMDatabase.h: isOpen, databaseDirectory (properties); patients,
studiesForPatient, seriesForStudy, instancesForSeries, filesForSeries, fieldForPatient, fieldForStudy, fieldForSeries
(Q_INVOKABLE; each is one SQL query).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _
from VolumeRetrievalEngine.slicer_database.series_list import ListedSeries, stamp

from ..Values import MatchDescription, SeriesChoice
from . import SeriesWords


class DatabaseSeries:
    """Reads a ctkDICOMDatabase, which may be None, closed or another one tomorrow."""

    def __init__(self, database: Any):
        self.database = database

    @property
    def directory(self) -> str:
        """The database's folder; "" while none is open."""
        database = self.database
        return str(database.databaseDirectory) if database is not None and database.isOpen else ""

    def stamps(self) -> Iterator[tuple[str, str]]:
        """Every series with what tells whether it has changed (series_list.py), one after another: ask for the next
        when there is time, because each takes two queries."""
        for series in self._series():
            inserted = self.database.fieldForSeries("InsertTimestamp", series)
            yield series, stamp(inserted, len(self.database.instancesForSeries(series)))

    def listed(self, series: str) -> ListedSeries:
        """The series with its files, for an indexing job."""
        inserted = self.database.fieldForSeries("InsertTimestamp", series)
        count = len(self.database.instancesForSeries(series))
        return ListedSeries(series, stamp(inserted, count), tuple(self.files(series)))

    def files(self, series: str) -> list[str]:
        """Its files; instances that are only known by their address have none (an empty Filename becomes the folder,
        ctkUtils.cpp, absolutePathFromInternal)."""
        folder = Path(self.directory)
        return [file for file in self.database.filesForSeries(series) if file and Path(file) != folder]

    def choices(self) -> list[SeriesChoice]:
        """Every series, to choose a query from."""
        choices = []
        for patient in self.database.patients() if self.directory else ():
            patientName = self._patientName(patient)
            for study in self.database.studiesForPatient(patient):
                studyName = self._studyName(study)
                choices += [
                    SeriesChoice(
                        series,
                        patientName,
                        studyName,
                        self._seriesName(series),
                        self.database.fieldForSeries("Modality", series),
                    )
                    for series in self.database.seriesForStudy(study)
                ]
        return choices

    def describe(self, series: str, part: str = "") -> MatchDescription:
        """Patient, study and series in words; empty if the database does not hold it. `part` is what the engine says to
        tell a volume from the others of its series."""
        study = self.database.studyForSeries(series) if self.directory and series else ""
        if not study:
            return MatchDescription()
        patient = self.database.patientForStudy(study)
        name = ", ".join(one for one in (self._seriesName(series), SeriesWords.part(part)) if one)
        return MatchDescription(
            self._patientName(patient),
            self._studyName(study),
            name,
            SeriesWords.date(self.database.fieldForStudy("StudyDate", study)),
            self.database.fieldForSeries("SeriesNumber", series),
        )

    def ofSamePatient(self, series: str) -> list[str]:
        """Every series of the patient of this one, itself included; none if the database does not hold it."""
        study = self.database.studyForSeries(series) if self.directory and series else ""
        if not study:
            return []
        studies = self.database.studiesForPatient(self.database.patientForStudy(study))
        return [one for each in studies for one in self.database.seriesForStudy(each)]

    def _series(self) -> Iterator[str]:
        for patient in self.database.patients() if self.directory else ():
            for study in self.database.studiesForPatient(patient):
                yield from self.database.seriesForStudy(study)

    def _patientName(self, patient: str) -> str:
        name = self.database.fieldForPatient("PatientsName", patient).replace("^", " ").strip()
        return name or self.database.fieldForPatient("PatientID", patient) or _("Unnamed patient")

    def _studyName(self, study: str) -> str:
        date = SeriesWords.date(self.database.fieldForStudy("StudyDate", study))
        description = self.database.fieldForStudy("StudyDescription", study)
        return " ".join(one for one in (date, description) if one) or _("Study without description")

    def _seriesName(self, series: str) -> str:
        number = self.database.fieldForSeries("SeriesNumber", series)
        name = self.database.fieldForSeries("SeriesDescription", series)
        return name or _("Series {number}").format(number=number)
