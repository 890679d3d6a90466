"""Two stores that are searched as one, and searches whose results must be those of one store with everything."""

from __future__ import annotations

from engine.store_samples import new_volume, volume_id
from VolumeRetrievalEngine.store import NewVolume
from VolumeRetrievalEngine.store.attribute_filter import AttributeFilter
from VolumeRetrievalEngine.volume import Attributes

#: Volumes of the two stores; 30 and 31 have the embeddings of 3 and 24 (the other store's), so that there are equals.
FIRST, SECOND = range(0, 20), range(20, 32)
TWINS = {30: 3, 31: 24}
ROWS = 26

#: Options of searches, by what is special about them.
SEARCHES: dict[str, dict[str, object]] = {
    "default": {},
    "paper": {"score": "paper"},
    "exhaustive": {"ranking": "exhaustive"},
    "count": {"ranking": "count"},
    "slices": {"filter": "slices", "distinct": 3},
    "filtered": {"attributes": AttributeFilter.parse(["modality=CT"]), "top": 40},
    "of one store alone": {
        "attributes": AttributeFilter.parse(["series_uid=1.2.7,1.2.8,1.2.9"]),
        "like": (volume_id(25),),
    },
}


def a_volume(number: int) -> NewVolume:
    modality = "MR" if number % 5 == 0 else "CT"
    return new_volume(
        number,
        rows=ROWS,
        attributes=Attributes(modality=modality, modality_from="dicom"),
        patient_token=f"patient {number % 7}",
        seed=TWINS.get(number, number),
    )
