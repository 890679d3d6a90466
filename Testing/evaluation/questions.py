"""What is looked for where: masks of one volume whose place in another one is known, because that has a mask, too."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from VolumeRetrievalEngine.query.query import Query

from .database import Database
from .dataset import Case
from .evaluated import Evaluated
from .whole_volume import RANKINGS

#: The kinds of questions, in the order of the tables.
HEAD_AND_NECK = "head-and-neck organs, in another patient"
TRUNK = "organs of the trunk, in every other patient"
CT_TO_MR = "tumor of an extremity, from CT to MR of the same patient"
MR_TO_CT = "tumor of an extremity, from MR to CT of the same patient"
PET = "tumor of an extremity, to and from PET of the same patient"
LESIONS = "lesions of the brain, in other MR of the same patient"
KINDS = (HEAD_AND_NECK, TRUNK, CT_TO_MR, MR_TO_CT, PET, LESIONS)

#: Masks of lesions, which lie where they do in one patient alone; and target volumes, which are no place of the body.
_FOCAL, _NO_PLACE = ("GTV", "gt"), ("PTV",)


@dataclass(frozen=True)
class Question:
    """One mask, and the volume in which its place is judged."""

    kind: str
    database: Database
    query: Query
    case: Case
    other: Case
    organ: str

    @property
    def name(self) -> str:
        """For the scores to carry: the same for every encoder."""
        named = f"{self.case.id} {self.organ}"
        return named if self.kind == HEAD_AND_NECK else f"{named} in {self.other.id}"


def head_and_neck_organs(evaluated: Evaluated, cases: Sequence[Case], ranking: str) -> Iterator[Question]:
    """Each organ of each patient, in the best ranked volume of another patient that has it.

    Args:
        ranking: a key of whole_volume.RANKINGS.
    """
    for case, organ in organs_with_another(cases):
        database = evaluated.database_for(case)
        query = database.query(case, organ)
        ranked = database.of_other_patients(case, database.order(query, **RANKINGS[ranking]))
        if (other := next((other for other in ranked if organ in other.masks), None)) is not None:
            yield Question(HEAD_AND_NECK, database, query, case, other, organ)


def organs_with_another(cases: Sequence[Case]) -> Iterator[tuple[Case, str]]:
    """The head-and-neck organs that another patient has a mask of, too."""
    having = [case for case in cases if case.body_part == "HEADNECK" and case.masks]
    for case in having:
        for organ in sorted(case.masks):
            is_elsewhere = any(other.patient != case.patient and organ in other.masks for other in having)
            if is_elsewhere and not organ.startswith(_NO_PLACE):
                yield case, organ


def lesions(evaluated: Evaluated, cases: Sequence[Case]) -> Iterator[Question]:
    """Each tumor and each set of lesions, in the other volumes of the same patient that have a mask of it."""
    for case in cases:
        for organ in (name for name in _FOCAL if name in case.masks):
            others = [one for one in cases if one.patient == case.patient and one is not case and organ in one.masks]
            if not others:
                continue
            database = evaluated.database_for(case)
            query = database.query(case, organ)
            for other in others:
                yield Question(_kind_of_lesion(case, other), database, query, case, other, organ)


def organs_of_the_trunk(evaluated: Evaluated, cases: Sequence[Case]) -> Iterator[Question]:
    """Each organ of each patient in every volume of another patient that has it, too: there are few.

    Only where both volumes hold all of it: what its mask says of its extent is the field of view's otherwise.
    """
    for case in cases:
        database = evaluated.database_for(case)
        for organ in (name for name in sorted(case.masks) if _is_whole(database, case, name)):
            having = [other for other in cases if other.patient != case.patient and organ in other.masks]
            query = database.query(case, organ)
            for other in (one for one in having if _is_whole(database, one, organ)):
                yield Question(TRUNK, database, query, case, other, organ)


def _is_whole(database: Database, case: Case, organ: str) -> bool:
    rows = database.rows_of(case, organ)
    return rows.min() > 0 and rows.max() < len(database.slices_of(case)) - 1


def _kind_of_lesion(case: Case, other: Case) -> str:
    if "PT" in (case.modality, other.modality):
        return PET
    return {("CT", "MR"): CT_TO_MR, ("MR", "CT"): MR_TO_CT}.get((case.modality, other.modality), LESIONS)
