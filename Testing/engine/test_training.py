"""The training: what it may learn from, what it wants to be near, and that the same settings make the same network."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch")

from VolumeRetrievalEngine.preprocessing import preprocess  # noqa: E402
from VolumeRetrievalEngine.recipe import Recipe  # noqa: E402
from VolumeRetrievalEngine.volume import Attributes, Volume  # noqa: E402

from Training.augmentation import Augmentation, random_views, to_channels  # noqa: E402
from Training.batches import Batch, Batches, Drawing  # noqa: E402
from Training.configuration import Configuration, read_configuration  # noqa: E402
from Training.contrasts import in_another_contrast  # noqa: E402
from Training.heights import common_heights  # noqa: E402
from Training.objectives import (  # noqa: E402
    Labels,
    Weights,
    anatomy_loss,
    modality_loss,
    nearness,
    patient_loss,
    teacher_loss,
    volume_loss,
)
from Training.slices import SliceSet, values_of  # noqa: E402
from Training.volumes import TrainingVolume, assign_folds, learned_from, read_volumes  # noqa: E402

REPOSITORY = Path(__file__).resolve().parents[2]
STILL = Augmentation(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)


def a_volume(number: int, patient: str, body_part: str = "CHEST", permitted: bool = True) -> TrainingVolume:
    return TrainingVolume(
        id=f"v{number}",
        path=Path(f"v{number}.nii.gz"),
        modality="CT",
        body_part=body_part,
        region="",
        patient=patient,
        licence="",
        source="",
        permitted=permitted,
        held_out=True,
    )


def a_slice_set(name: str, features: np.ndarray, body_part: str = "HEADNECK", spacing_mm: float = 3.0) -> SliceSet:
    count = len(features)
    return SliceSet(
        name=name,
        modality="CT",
        body_part=body_part,
        region="",
        patient=name,
        values=np.zeros((count, 8, 8), np.int16),
        positions_mm=(spacing_mm * np.arange(count)).astype(np.float32),
        teachers={"network": features.astype(np.float32), "descriptor": features[:, ::-1].astype(np.float32)},
        plane="axial",
    )


def labels(**values: list[float]) -> Labels:
    count = len(values["position_mm"])
    known = {
        "volume": [0] * count,
        "disguised": [False] * count,
        "patient": [0] * count,
        "kind": [0] * count,
        "region": [-1] * count,
    }
    known |= {"modality": [0] * count, "height_mm": [float("nan")] * count, **values}
    return Labels(**{name: torch.tensor(value) for name, value in known.items()})


def unit(rows: list[list[float]]) -> torch.Tensor:
    return torch.nn.functional.normalize(torch.tensor(rows), dim=1)


# What may be learned from


def test_every_patient_is_held_out_by_one_fold_and_kinds_are_spread() -> None:
    volumes = [a_volume(n, f"p{n // 2}", body_part="CHEST" if n < 20 else "HEAD") for n in range(40)]

    folds = assign_folds(volumes, 5, seed=0)

    assert set(folds) == {f"p{n}" for n in range(20)}
    for patients in (range(10), range(10, 20)):
        assert sorted(folds[f"p{n}"] for n in patients) == sorted([0, 1, 2, 3, 4] * 2)


def test_held_out_patients_and_unclear_licences_are_not_learned_from() -> None:
    volumes = [a_volume(0, "a"), a_volume(1, "b"), a_volume(2, "a"), a_volume(3, "c", permitted=False)]

    assert [one.id for one in learned_from(volumes, ["a"])] == ["v1"]


def test_a_licence_counts_only_where_the_data_have_it_themselves(tmp_path: Path) -> None:
    licences = {
        "CC BY 4.0 (CMB-CRC; LICENSE in repo)": True,
        "CC BY 3.0 (x)": True,
        "MIT (repository)": True,
        "PDDL (repo)": True,
        "repo: none; MIDRC-RICORD-1A (CC BY-NC 4.0 per TCIA, not verified here)": False,
        "repo: Apache-2.0; TCIA collection data (collection licence not restated in repo)": False,
        "CC BY-NC 4.0 (x)": False,
        "CC BY-ND 4.0 (x)": False,
        "": False,
    }
    header = "id,path,modality,body_part,region,patient,licence,source"
    rows = [f'v{n},v{n}.nii,CT,CHEST,,p{n},"{licence}",s' for n, licence in enumerate(licences)]
    for folder, lines in (("data", [header, *rows]), ("training", [header]), ("training2", [header])):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "manifest.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")

    assert [one.permitted for one in read_volumes(tmp_path)] == list(licences.values())


def test_no_fold_and_no_shipped_weights_were_made_from_what_they_must_not_see(shared: Path) -> None:
    volumes = {one.id: one for one in read_volumes(shared)}
    folds = json.loads((REPOSITORY / "Training/folds/folds.json").read_text(encoding="utf-8"))["folds"]
    configuration = read_configuration(REPOSITORY / "Training/configuration.toml")
    assert folds == assign_folds(volumes.values(), configuration.folds, configuration.seed)
    shipped = REPOSITORY / "VolumeRetrieval/VolumeRetrievalEngine/encoders/radiology_resnet/radiology-resnet.json"
    earlier = shipped.parent / "first_edition" / shipped.name
    for held_out, description in [(None, shipped), (None, earlier)] + [
        (k, REPOSITORY / f"Training/folds/fold-{k}.json") for k in range(configuration.folds)
    ]:
        made_from = json.loads(description.read_text(encoding="utf-8"))
        seen = [volumes[name] for name in made_from["trained_volumes"]]
        assert all(one.permitted for one in seen), description.name
        assert {one.patient for one in seen} == set(made_from["trained_patients"]), description.name
        assert not {who for who, k in folds.items() if k == held_out} & {one.patient for one in seen}, description.name


# Heights


def a_walk(count: int, seed: int = 0) -> np.ndarray:
    """Unit embeddings float64 [count, 16] that change from slice to slice, as anatomy does."""
    steps = np.random.default_rng(seed).normal(size=(count + 8, 16))
    smooth = np.stack([np.convolve(column, np.ones(9), mode="valid") for column in steps.T], axis=1)
    return smooth / np.linalg.norm(smooth, axis=1, keepdims=True)


def heights_of(sets: list[SliceSet]) -> dict[str, np.ndarray]:
    return common_heights(sets, {one.name: one.teachers["network"] for one in sets})


def test_volumes_of_one_kind_get_common_heights() -> None:
    body = a_walk(60)
    noise = np.random.default_rng(1).normal(scale=0.01, size=(3, 60, 16))
    whole, other, lower = body + noise[0], body + noise[1], (body + noise[2])[10:50]

    heights = heights_of([a_slice_set("a", whole), a_slice_set("b", other), a_slice_set("c", lower)])

    shared_slices = heights["c"] - heights["a"][10:50]
    assert np.nanmedian(np.abs(shared_slices)) < 3.0
    assert np.isfinite(shared_slices).mean() > 0.8


def test_volumes_that_cannot_be_followed_along_each_other_get_none() -> None:
    backward = a_walk(40)[::-1]

    assert heights_of([a_slice_set("a", a_walk(40)), a_slice_set("b", backward)]) == {}


def test_volumes_of_different_kinds_get_none() -> None:
    limbs = [a_slice_set(name, a_walk(30), body_part="EXTREMITY") for name in "ab"]

    assert heights_of(limbs) == {}


# Views


@pytest.mark.parametrize("modality", ["CT", "MR"])
def test_training_sees_the_slices_that_the_engine_will_show(modality: str) -> None:
    random = np.random.default_rng(0)
    voxels = random.uniform(-1000, 1500, (4, 40, 40)).astype(np.float32)
    volume = Volume.from_array(voxels, np.diag([2.0, 2.0, 3.0, 1.0]), Attributes(modality=modality))
    stack = preprocess(volume, Recipe(encoder="any", size=32))

    images = to_channels(torch.from_numpy(values_of(stack)).float(), torch.tensor([modality == "CT"] * 4))

    shown = np.concatenate(list(stack.images()))
    assert np.abs(images.numpy() - shown).max() < 0.01


def test_a_view_that_strays_nowhere_is_the_slice_itself() -> None:
    values = torch.rand(6, 16, 16) * 1000
    hounsfield = torch.tensor([True, False] * 3)

    views = random_views(values, values.flip(0), hounsfield, STILL)

    torch.testing.assert_close(views, to_channels(values, hounsfield), atol=1e-3, rtol=0)


def test_views_differ_and_stay_within_what_an_encoder_may_see() -> None:
    torch.manual_seed(0)
    values = torch.rand(1, 16, 16).expand(8, 16, 16) * 1000
    hounsfield = torch.tensor([True] * 4 + [False] * 4)

    views = random_views(values, values, hounsfield, Augmentation())

    assert views.min() >= 0 and views.max() <= 1
    for one in (views[:4], views[4:]):
        assert torch.pdist(one.flatten(1)).min() > 0.1


def test_a_leveled_slice_keeps_its_outline() -> None:
    torch.manual_seed(0)
    values = torch.zeros(8, 16, 16)
    values[:, 4:12, 4:12] = 900 + 300 * torch.rand(8, 8, 8)

    views = random_views(values, values, torch.ones(8, dtype=torch.bool), replace(STILL, flat=1.0))

    before, after = to_channels(values, torch.ones(8, dtype=torch.bool))[:, 1], views[:, 1]
    assert (after[:, :4] == 0).all() and (after[:, :, 12:] == 0).all()
    inside = (slice(None), slice(4, 12), slice(4, 12))
    assert (after[inside].flatten(1).std(1) < before[inside].flatten(1).std(1)).all()
    torch.testing.assert_close(after[inside].mean(), before[inside].mean(), atol=0.05, rtol=0)


def test_a_made_up_contrast_keeps_outlines_and_changes_what_is_bright() -> None:
    random = np.random.default_rng(0)
    values = torch.zeros(1, 8, 8)
    values[:, 2:6, 2:6], values[:, 3:5, 3:5] = 1060, 1400  # air, soft tissue, bone

    shown = [in_another_contrast(values, True, random) for _ in range(40)]

    for one in shown:
        assert one.min() >= 0 and one.max() <= 1000 and one[0, 0, 0] < 100
        assert len(torch.unique(one)) == 3
    darker = [bool(one[0, 3, 3] < one[0, 2, 2]) for one in shown]
    assert any(darker) and not all(darker)


# Batches


def a_batch(sets: list[SliceSet], **how: float) -> Batch:
    drawing = Drawing(**{"volumes": 6, "slices": 4, "pair": 0.0, "disguised": 0.0, **how})
    return Batches(sets, {}, drawing, seed=0).draw()


def test_a_volume_in_a_made_up_contrast_stands_beside_itself_and_is_of_no_kind() -> None:
    batch = a_batch([a_slice_set(f"s{n}", a_walk(12)) for n in range(4)], disguised=1.0)

    labels, pairs = batch.labels, torch.nonzero(batch.labels.disguised[1:] & ~batch.labels.disguised[:-1])[:, 0]
    assert len(pairs) == 3 and labels.disguised.sum() == 12
    assert not batch.hounsfield[labels.disguised].any() and batch.hounsfield[~labels.disguised].all()
    shown, twin = slice(0, 4), slice(4, 8)
    assert torch.equal(labels.position_mm[shown], labels.position_mm[twin])
    assert torch.equal(labels.patient[shown], labels.patient[twin])
    assert len(set(labels.kind[labels.disguised].tolist())) == 3 and labels.kind[labels.disguised].max() < 0


def test_another_patient_of_the_kind_is_drawn_beside_a_volume() -> None:
    sets = [a_slice_set(f"{kind}{n}", a_walk(12), body_part=kind) for kind in ("HEAD", "CHEST", "KNEE") for n in "ab"]

    kinds = a_batch(sets, pair=1.0).labels.kind[::4]

    assert torch.equal(kinds[::2], kinds[1::2])


# Objectives


def test_near_slices_and_common_heights_are_wanted_near_and_others_not() -> None:
    nan = float("nan")
    known = labels(
        volume=[0, 0, 0, 1, 2, 3],
        patient=[0, 0, 0, 1, 2, 3],
        kind=[0, 0, 0, 0, 0, 1],
        position_mm=[0.0, 3.0, 90.0, 50.0, 0.0, 0.0],
        height_mm=[10.0, 13.0, 100.0, 10.0, nan, 10.0],
    )

    wanted = nearness(known, Weights(same_kind=0.01))

    assert torch.equal(wanted, wanted.T) and wanted.diagonal().sum() == 0
    assert wanted[0, 1] > wanted[0, 3] > 0.5  # a neighbour, and the same height in another patient
    assert wanted[0, 2] < 1e-6  # far away in the same volume
    assert wanted[0, 4] == pytest.approx(0.01)  # height unknown: only the kind is the same
    assert wanted[0, 5] == 0  # another kind, whatever its height


def test_the_anatomy_loss_is_least_where_neighbours_lie_together() -> None:
    known = labels(volume=[0, 0, 1, 1], patient=[0, 0, 1, 1], kind=[0, 0, 1, 1], position_mm=[0.0, 2.0, 0.0, 2.0])
    together = unit([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0]])
    apart = together[[0, 2, 1, 3]]

    assert anatomy_loss(together, known, Weights()) < anatomy_loss(apart, known, Weights())


def test_the_modality_loss_asks_only_among_the_other_modality() -> None:
    known = labels(
        volume=[0, 1, 2, 3], patient=[0, 0, 1, 1], modality=[0, 1, 0, 1], kind=[0, 1, 0, 1], position_mm=[0.0] * 4
    )
    paired = unit([[1.0, 0.0], [1.0, 0.2], [0.0, 1.0], [0.2, 1.0]])
    crossed = paired[[0, 3, 2, 1]]
    # The slices of one modality may lie wherever they want to each other.
    assert modality_loss(paired, known, Weights()) < 0.01 < modality_loss(crossed, known, Weights())
    alone = labels(volume=[0, 1], patient=[0, 1], position_mm=[0.0, 0.0])
    assert modality_loss(paired[:2], alone, Weights()) == 0


def test_the_anatomy_loss_leaves_the_patients_other_volumes_to_the_modality_loss() -> None:
    known = labels(
        volume=[0, 0, 1, 1],
        patient=[0, 0, 0, 0],
        kind=[0, 0, 1, 1],
        modality=[0, 0, 1, 1],
        position_mm=[0.0, 2.0, 0.0, 2.0],
    )
    together, apart = unit([[1.0, 0.0], [1.0, 0.1]] * 2), unit([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0]])

    losses = [float(anatomy_loss(one, known, Weights())) for one in (together, apart)]

    assert losses[0] == pytest.approx(losses[1], abs=1e-4)


def test_the_volume_loss_is_least_where_volumes_of_a_kind_score_above_others() -> None:
    known = labels(
        volume=[0, 0, 1, 1, 2, 2], patient=[0, 0, 1, 1, 2, 2], kind=[0, 0, 0, 0, 1, 1], position_mm=[0.0, 9.0] * 3
    )
    # Every slice of a volume has its like in the other volume of the kind, at another place of the stack.
    found = unit([[1, 0, 0], [0, 1, 0], [0, 1, 0.1], [1, 0, 0.1], [0, 0, 1], [0, 0.1, 1]])

    least = volume_loss(found, known, Weights())

    assert least < 0.01 < volume_loss(found[[0, 1, 4, 5, 2, 3]], known, Weights())


def test_the_patient_loss_asks_for_the_right_patient_among_other_modalities() -> None:
    known = labels(volume=[0, 1, 2, 3], patient=[0, 1, 0, 1], modality=[0, 0, 1, 1], position_mm=[0.0] * 4)
    right = unit([[1.0, 0.0], [0.0, 1.0], [1.0, 0.1], [0.1, 1.0]])

    assert patient_loss(right, known, Weights()) < 0.01 < patient_loss(right[[0, 1, 3, 2]], known, Weights())


def test_the_teacher_loss_is_least_for_the_teachers_own_neighbours() -> None:
    taught = unit([[1.0, 0.1, 0.0], [1.0, 0.0, 0.1], [-1.0, 0.5, 0.0], [-1.0, 0.4, 0.1]])

    assert teacher_loss(taught, taught, Weights()) < teacher_loss(taught[[0, 2, 1, 3]], taught, Weights())


# The whole


def a_learnable_set(name: str, kind: str, seed: int) -> SliceSet:
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:32, :32]
    positions = np.arange(20)
    disks = [(rows - 8 - 0.8 * k) ** 2 + (columns - 16) ** 2 < (40 if kind == "HEAD" else 90) for k in positions]
    values = (np.array(disks) * 1000 + random.normal(scale=40, size=(20, 32, 32))).clip(0, 2000)
    features = np.stack([np.cos(positions / 6), np.sin(positions / 6), np.full(20, kind == "HEAD"), np.ones(20)], 1)
    features = features / np.linalg.norm(features, axis=1, keepdims=True)
    made = a_slice_set(name, features, body_part=kind)
    return SliceSet(**{**made.__dict__, "values": values.astype(np.int16)})


@pytest.fixture
def one_thread() -> Iterator[None]:
    """As each run of the training has it: how many threads add up decides on the last digits."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_training_learns_and_the_same_seed_gives_the_same_network(tmp_path: Path, one_thread: None) -> None:
    from Training.fitting import Settings, fit

    pytest.importorskip("monai", reason="the network is MONAI's")
    sets = [a_learnable_set(f"{kind}-{n}", kind, n) for kind in ("HEAD", "CHEST") for n in range(3)]
    settings = Settings(
        widths=(8, 8, 16, 16),
        dimension=16,
        size=32,
        steps=41,
        warm_up=5,
        components=2,
        realign=25,
        teachers={"network": 0.5, "descriptor": 0.5},
        drawing=Drawing(volumes=4, slices=6),
        weights=Weights(volume=0.5, patient=0.3),
    )
    first = fit(sets, settings, tmp_path / "first.jsonl", report=lambda line: None)
    again = fit(sets, settings, tmp_path / "again.jsonl", report=lambda line: None)

    for one, other in zip(first.parameters(), again.parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=0, rtol=0)
    log = [json.loads(line) for line in (tmp_path / "first.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [line["step"] for line in log] == [0, 20, 40]
    assert log[-1]["loss"] < 0.9 * log[0]["loss"]


def test_a_run_goes_on_only_from_weights_that_never_saw_whom_it_holds_out(tmp_path: Path) -> None:
    from Training.export import export
    from Training.fitting import Settings, new_network
    from Training.runs import Run

    pytest.importorskip("onnxruntime")
    settings = Settings(widths=(8, 8, 16, 16), dimension=16)
    network = new_network(settings).eval()
    described = {"layers": settings.layers, "widths": settings.widths, "trained_patients": ["a", "b"]}
    weights = export(network, tmp_path, name="fold-0", values=described, with_onnx=False).description
    start = weights.with_suffix(".safetensors")

    def a_run(patients: str, **changed: object) -> Run:
        volumes = [a_volume(n, patient) for n, patient in enumerate(patients)]
        configuration = Configuration(5, 0, 0, True, replace(settings, **changed))
        return Run("fold-0", volumes, configuration, tmp_path, tmp_path, start, tmp_path / "log", tmp_path, "")

    image = torch.rand(2, 3, 128, 128)
    before = network(image)
    # Told at places, the average over the slice is what it was.
    for grid in (1, 4):
        begun = a_run("abc", grid=grid).begun().eval()(image)
        torch.testing.assert_close(begun, before, atol=2e-2 * float(before.abs().max()), rtol=0)
    with pytest.raises(ValueError, match="holds out: b"):
        a_run("ac").begun()
    with pytest.raises(ValueError, match="another network"):
        a_run("abc", layers=(1, 2, 1, 1)).begun()


def test_an_unknown_entry_of_the_configuration_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "configuration.toml"
    path.write_text("[run]\nstep = 3\n", encoding="utf-8")

    with pytest.raises(ValueError, match="step"):
        read_configuration(path)
