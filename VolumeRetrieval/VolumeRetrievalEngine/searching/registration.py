"""From the mapping of a match to an affine registration of what was asked for: for results that are shown.

SimpleITK, mutual information (so that CT and MR can be compared), several resolutions, started from the mapping and
restricted to the surroundings of the region. It takes some seconds for a volume, and it can fail: then the mapping
stays, and the refinement says why. Parameters and limits are our choice, measured on organs of head-and-neck CT of
other patients (Testing/RESULTS.md).
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import SimpleITK as sitk

from ..preprocessing.intensity import ClipAboveAir, intensity_range
from ..query.oriented_box import OrientedBox
from ..volume import LPS_TO_RAS, Volume
from .point_map import MARGIN_MM, PointMap
from .refinement import Refinement

#: Pixels of the two images that are compared are this large, or larger where there would be too many of them.
_PIXEL_MM = 3.0
_MOST_PIXELS = 96

#: Fewer samples along an axis than this give no registration.
_LEAST_PIXELS = 8

#: Shrinking and smoothing (in pixels) of each resolution, and the most steps at each.
_SHRINK = (3, 2, 1)
_SMOOTHING = (2.0, 1.0, 0.0)
_STEPS = 40

#: What a refinement that is believed may do at most: move the region's middle, and stretch or squeeze over the mapping.
MOST_SHIFT_MM = 40.0
MOST_STRETCH = 1.6

#: Mutual information has to rise by this much, in nats.
LEAST_GAIN = 0.005


def refine(
    query: Volume, result: Volume, points: PointMap, box: OrientedBox, check: Callable[[], None] | None = None
) -> Refinement:
    """Register the surroundings of a region of the query with a result.

    Args:
        query, result: the two volumes.
        points: the mapping to start from.
        box: the region, RAS mm of the query.
        check: called at every step; raises Cancelled to stop.
    """
    started = time.monotonic()
    initial = points.affine_around(box)

    def as_it_was(reason: str, gain: float = 0.0, shift: float = 0.0) -> Refinement:
        taken = time.monotonic() - started
        return Refinement(initial, False, reason, gain, shift, points.box(box), taken)

    fixed = _cut(query, OrientedBox(box.center, box.axes, box.size + 2 * MARGIN_MM))
    around = points.box(OrientedBox(box.center, box.axes, box.size + 2 * MARGIN_MM))
    moving = _cut(result, OrientedBox(around.center, around.axes, around.size + 2 * MOST_SHIFT_MM))
    if fixed is None or moving is None:
        return as_it_was("the region and its surroundings lie outside one of the two volumes")
    try:
        transform, gain = _registered(fixed, moving, initial, box.center, check)
    except RuntimeError as error:  # SimpleITK's own; too little overlap, nothing but one gray value
        return as_it_was(f"the registration found nothing to hold on to ({str(error).strip().splitlines()[-1][-120:]})")
    matrix = _as_matrix(transform)
    stretch = np.linalg.svd(matrix[:3, :3] @ np.linalg.inv(initial[:3, :3]), compute_uv=False)
    middle = np.append(box.center, 1.0)
    shift = float(np.linalg.norm((matrix - initial)[:3] @ middle))
    if gain < LEAST_GAIN:
        return as_it_was("the registration found nothing better than the mapping", gain, shift)
    if shift > MOST_SHIFT_MM or stretch.max() > MOST_STRETCH or stretch.min() < 1 / MOST_STRETCH:
        return as_it_was(
            f"the registration went astray ({shift:.0f} mm, stretched {stretch.max():.1f} times)", gain, shift
        )
    taken = time.monotonic() - started
    return Refinement(matrix, True, "", gain, shift, _box_of(matrix, box, around.axes), taken)


def _box_of(matrix: np.ndarray, box: OrientedBox, axes: np.ndarray) -> OrientedBox:
    """The box along these axes around the mapped middles of the box's faces: a turn does not make it larger."""
    faces = np.concatenate([box.center + sign * 0.5 * np.diag(box.size) @ box.axes for sign in (-1, 1)])
    return OrientedBox.around(faces @ matrix[:3, :3].T + matrix[:3, 3], axes)


def _registered(
    fixed: sitk.Image,
    moving: sitk.Image,
    initial: np.ndarray,
    center: np.ndarray,
    check: Callable[[], None] | None,
) -> tuple[sitk.AffineTransform, float]:
    """The affine from the fixed to the moving image (LPS), and by how much mutual information rose."""
    transform = _as_transform(initial, center)
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(32)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetInitialTransform(transform, inPlace=False)
    before = method.MetricEvaluate(fixed, moving)
    method.SetMetricSamplingStrategy(method.REGULAR)
    method.SetMetricSamplingPercentagePerLevel([1.0, 0.5, 0.2], seed=1)
    method.SetShrinkFactorsPerLevel(list(_SHRINK))
    method.SetSmoothingSigmasPerLevel(list(_SMOOTHING))
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOff()
    method.SetOptimizerAsRegularStepGradientDescent(
        learningRate=2.0, minStep=0.1, numberOfIterations=_STEPS, relaxationFactor=0.6, gradientMagnitudeTolerance=1e-6
    )
    method.SetOptimizerScalesFromPhysicalShift()
    stopped: list[BaseException] = []
    if check is not None:

        def ask() -> None:
            if not stopped:
                try:
                    check()
                except BaseException as error:  # through SimpleITK it would not come out as what it is
                    stopped.append(error)
            if stopped:
                method.StopRegistration()  # ends the resolution in work: the next one has to be ended, too

        method.AddCommand(sitk.sitkIterationEvent, ask)
    found = method.Execute(fixed, moving)
    if stopped:
        raise stopped[0]
    after = sitk.ImageRegistrationMethod()
    after.SetMetricAsMattesMutualInformation(32)
    after.SetInterpolator(sitk.sitkLinear)
    after.SetInitialTransform(found, inPlace=False)
    return sitk.AffineTransform(sitk.CompositeTransform(found).GetBackTransform()), before - after.MetricEvaluate(
        fixed, moving
    )


def _cut(volume: Volume, box: OrientedBox) -> sitk.Image | None:
    """The volume within a box, as far as it goes, in gray values of [0, 1] on a coarse grid; None if nothing is in it.

    Without interpolation: every so many voxels, along the volume's own axes.
    """
    counts = np.array(volume.voxels.shape[::-1])
    index = (box.corners() - volume.affine[:3, 3]) @ np.linalg.inv(volume.affine[:3, :3]).T
    first = np.clip(np.floor(index.min(axis=0)), 0, counts - 1).astype(int)
    last = np.clip(np.ceil(index.max(axis=0)), 0, counts - 1).astype(int)
    spacing = np.linalg.norm(volume.affine[:3, :3], axis=0)
    pixel = max(_PIXEL_MM, float(((last - first) * spacing).max()) / _MOST_PIXELS)
    steps = np.maximum(1, np.rint(pixel / spacing)).astype(int)
    if ((last - first) // steps + 1 < _LEAST_PIXELS).any() and ((last - first + 1) < _LEAST_PIXELS).any():
        return None
    i, j, k = (slice(int(a), int(b) + 1, int(s)) for a, b, s in zip(first, last, steps, strict=True))
    values = intensity_range(volume.voxels, volume.attributes.modality)
    cut = ClipAboveAir(values)(np.ascontiguousarray(volume.voxels[k, j, i], dtype=np.float32))
    image = sitk.GetImageFromArray(cut)
    lps = LPS_TO_RAS @ volume.affine
    image.SetOrigin((lps[:3, :3] @ first + lps[:3, 3]).tolist())
    image.SetSpacing((spacing * steps).tolist())
    image.SetDirection((lps[:3, :3] / spacing).ravel().tolist())
    return image


def _as_transform(matrix: np.ndarray, center: np.ndarray) -> sitk.AffineTransform:
    """RAS [4, 4] as ITK's transform, about a center in RAS mm."""
    lps = LPS_TO_RAS @ matrix @ LPS_TO_RAS
    about = LPS_TO_RAS[:3, :3] @ center
    transform = sitk.AffineTransform(3)
    transform.SetCenter(about.tolist())
    transform.SetMatrix(lps[:3, :3].ravel().tolist())
    transform.SetTranslation((lps[:3, :3] @ about + lps[:3, 3] - about).tolist())
    return transform


def _as_matrix(transform: sitk.AffineTransform) -> np.ndarray:
    """The reverse of :func:`_as_transform`."""
    linear = np.array(transform.GetMatrix()).reshape(3, 3)
    center, translation = np.array(transform.GetCenter()), np.array(transform.GetTranslation())
    lps = np.eye(4)
    lps[:3, :3] = linear
    lps[:3, 3] = center + translation - linear @ center
    return LPS_TO_RAS @ lps @ LPS_TO_RAS
