"""Head and neck of the reference body: brain, skull and face, airway, mandible, thyroid, vessels and muscles."""

from __future__ import annotations

import numpy as np

from .anatomy import Body
from .shapes import Ellipsoid, HalfSpace, Noise, NoiseSheets, Shape, axes, tube

_CRANIUM = Ellipsoid((0, -2, 735), (74, 93.5, 80))


def _above_skull_base(mm: float) -> Shape:
    """Above the floors of the three cranial fossae, `mm` higher (negative: lower, into the bone)."""
    temporal = Ellipsoid((35, 16, 710), (30, 37, 22)).grown(-mm)
    behind = Ellipsoid((0, -46, 706), (66, 56, 39)).grown(-mm)
    return HalfSpace((0, 0.05, 1), 724 + mm) | temporal | temporal.mirrored() | behind


def add_neck(body: Body) -> None:
    """Muscles in their fat, larynx and thyroid, vessels; before spine and skull are painted."""
    gap = Ellipsoid((0, -6, 602), (48, 35, 90))
    body.add("fat", gap, over=("muscle",))
    for name, points, radii, stretch in (
        ("sternomastoid", [(60, -22, 672), (50, 2, 620), (30, 22, 560), (12, 32, 512)], [9, 13, 12, 8], (1, 0.75, 1)),
        ("scalene", [(22, -30, 640), (28, -26, 590), (44, -16, 540)], [8, 11, 10], (1, 1.1, 1)),
        ("longus", [(8, -6, 655), (10, -14, 590), (12, -34, 530)], [7, 9, 8], (1.1, 0.7, 1)),
        ("splenius", [(22, -52, 665), (24, -56, 600), (26, -66, 540)], [20, 23, 25], (1, 0.95, 1)),
    ):
        body.add_pair("muscle", body.tube(name, points, radii, stretch=stretch, shift=1.5), over=("muscle", "fat"))
    body.add_pair("vessels", body.tube("carotid", [(14, 2, 505), (19, 0, 560), (27, 6, 620), (26, 4, 690)], 3.6))
    jugular = [(24, 4, 508), (29, 2, 560), (36, -2, 620), (32, -8, 676)]
    body.add_pair("vessels", body.tube("jugular", jugular, [7, 6, 6, 4]))
    vertebral = tube([(15, -28, 530), (14, -24, 600), (15, -20, 655)], 1.8)
    body.add_pair("vessels", vertebral)
    body.add_pair("thyroid", body.ellipsoid("thyroid", (17, 10, 573), (9, 10, 23), turned=axes(roll=8), shift=1.5))
    body.add("thyroid", Ellipsoid((0, 19, 568), (14, 3.5, 7)))
    body.add_pair("glands", body.ellipsoid("parotid", (57, -4, 668), (13, 19, 24), shift=1.5))
    body.add_pair("glands", body.ellipsoid("submandibular", (30, 32, 628), (10, 15, 12), shift=1.5), hu=42)
    _add_larynx(body)


def _add_larynx(body: Body) -> None:
    shield = tube([(21, 12, 606), (12, 30, 606), (0, 37, 604), (-12, 30, 606), (-21, 12, 606)], 3.2, (1, 1, 3.6))
    body.add("cartilage", shield, hu=150)
    body.add("muscle", tube([(0, 17, 625), (0, 17, 596)], [11, 12]))
    body.add("cartilage", tube([(0, 12, 594), (0, 11, 582)], 13) - tube([(0, 12, 600), (0, 11, 576)], 9), hu=190)
    body.add("mandible", tube([(20, 24, 622), (12, 38, 620), (0, 42, 620), (-12, 38, 620), (-20, 24, 622)], 2.6))
    pharynx = [(0, 24, 692), (0, 17, 660), (0, 14, 640), (0, 15, 622), (0, 17, 604), (0, 13, 590), (0, 9, 570)]
    lumen = [9, 9, 10, 8, 5, 7.5, 8]
    body.add("muscle", tube(pharynx[:5], [radius + 4 for radius in lumen[:5]], (1.35, 0.9, 1)))
    body.add("airways", tube(pharynx, lumen, (1.25, 0.8, 1)))
    epiglottis = tube([(0, 24, 622), (0, 14, 640)], 2.2, (3, 0.8, 1))
    body.add("cartilage", epiglottis, hu=60)


def add_head(body: Body) -> None:
    """Face, skull, and what is in them; after the spine, whose top the skull sits on."""
    _add_soft_face(body)
    _add_face_bones(body)
    body.add("skull", _CRANIUM & _above_skull_base(-3.5))
    diploe = _CRANIUM.grown(-1.6) & _above_skull_base(-2)
    body.add("skull", diploe - _CRANIUM.grown(-4.2), hu=520, texture=True)
    _add_petrous_bones(body)
    _add_brain(body)
    _add_orbits(body)
    _add_sinuses(body)


def _add_soft_face(body: Body) -> None:
    body.add_pair("fat", body.ellipsoid("cheek", (46, 52, 668), (13, 24, 24), shift=1.5), over=("muscle",))
    body.add_pair("fat", Ellipsoid((40, 22, 690), (15, 16, 10)), over=("muscle",))
    body.add_pair("muscle", body.ellipsoid("masseter", (55, 32, 662), (8, 17, 26), shift=1))
    body.add_pair("muscle", body.ellipsoid("pterygoid", (34, 22, 675), (9, 14, 20), shift=1))
    body.add("muscle", body.ellipsoid("tongue", (0, 50, 645), (23, 32, 17), shift=1))
    body.add("airways", Ellipsoid((0, 46, 661), (20, 26, 2.5)))


def _add_face_bones(body: Body) -> None:
    chin = body.vary.shift("chin", 1.2)
    ramus = [(47, 12, 690), (48, 8, 668), (46, 16, 645)]
    arch = [(46, 16, 645), (38, 50, 636), (22, 76, 632), (0, 87, 631)]
    for points, radius, stretch in ((ramus, 5.5, (0.75, 1.9, 1)), (arch, 6.0, (0.85, 0.85, 1.7))):
        shifted = np.asarray(points, float) + chin * (1, 1, 0)
        body.add_pair("mandible", tube(shifted, radius, stretch))
        body.add_pair("mandible", tube(shifted, radius - 2.6, stretch), hu=260, texture=True)
    body.add_pair("mandible", Ellipsoid((50, 8, 694), (9, 5, 6)))
    body.add("skull", Ellipsoid((0, 66, 659), (30, 25, 9)), hu=420)
    body.add("airways", Ellipsoid((0, 58, 652), (23, 26, 7)))
    body.add("muscle", Ellipsoid((0, 52, 646), (23, 29, 12)))
    for number in range(8):
        angle = np.radians(6 + 11.5 * number)
        x, y = 27 * np.sin(angle), 50 + 35 * np.cos(angle)
        for low, high in ((637, 645), (647, 657)):
            body.add_pair("teeth", Ellipsoid((x, y, (low + high) / 2), (3.2, 3.4, (high - low) / 2 + 1)))
    zygoma = tube([(42, 78, 690), (58, 62, 692), (68, 36, 692), (66, 10, 692)], [8, 6, 4, 4], (0.8, 0.8, 1.1))
    body.add_pair("skull", zygoma, hu=700)


def _add_petrous_bones(body: Body) -> None:
    petrous = body.ellipsoid("petrous", (36, 0, 690), (29, 10, 10), turned=axes(yaw=-32), shift=1)
    body.add_pair("skull", petrous, hu=980)
    mastoid = body.ellipsoid("mastoid", (56, -16, 680), (12, 16, 20), shift=1)
    body.add_pair("skull", mastoid, hu=620)
    cells = NoiseSheets(Noise(body.seed, 2.6), 0.55, level=0.9)
    body.add_pair("skull", mastoid.grown(-2.5) & cells, hu=-620, texture=True)
    body.add_pair("airways", tube([(78, -2, 690), (48, 0, 690)], 3.2))
    body.add_pair("skull", Ellipsoid((27, 6, 691), (4, 4, 3)), hu=200, texture=True)


def _add_brain(body: Body) -> None:
    gray, white = body.hu("brain") + 5, body.hu("brain") - 4
    seed = body.seed
    body.add("csf", _CRANIUM.grown(-5.8) & _above_skull_base(0), hu=22)
    atrophy = body.vary.number("atrophy", 1.0, 3.2)
    cortex = _CRANIUM.grown(-7.0 - atrophy) & _above_skull_base(2)
    tentorium = HalfSpace((0, -0.25, 1), 717)
    body.add("brain", (cortex & (tentorium | HalfSpace((0, 1, 0), -12))), hu=gray)
    folds = NoiseSheets(Noise(seed, 7.5), 0.14)
    deep = _CRANIUM.grown(-13.0 - atrophy) & _above_skull_base(8)
    ribbon = NoiseSheets(Noise(seed, 7.5), 0.42)
    body.add("brain", deep - ribbon, hu=white, over=("brain",), texture=True)
    body.add("brain", _CRANIUM.grown(-27) & _above_skull_base(14), hu=white, over=("brain",), texture=True)
    body.add("csf", (_CRANIUM.grown(-8) - _CRANIUM.grown(-24)) & folds, hu=16, over=("brain",))
    callosum = Ellipsoid((0, 4, 742), (9, 50, 29))
    cleft = Ellipsoid((0, 10, 760), (1.3 + 0.4 * atrophy, 92, 58)) - callosum
    body.add("csf", cleft, hu=14, over=("brain",))
    falx = Ellipsoid((0, 6, 760), (0.9, 88, 58)) - callosum
    body.add("csf", falx, hu=62, over=("brain", "csf"), texture=True)
    body.add_pair("brain", Ellipsoid((25, 12, 741), (8, 21, 12)), hu=gray + 1, over=("brain",), texture=True)
    body.add_pair("brain", Ellipsoid((11, -10, 741), (8, 13, 9)), hu=gray + 2, over=("brain",), texture=True)
    sylvian = [(40, 24, 722), (54, 12, 732), (58, -8, 742)]
    body.add_pair("csf", tube(sylvian, 2 + 0.6 * atrophy, (1.6, 1, 1)), hu=14)
    _add_hindbrain(body, gray)
    _add_ventricles(body, atrophy)


def _add_hindbrain(body: Body, gray: float) -> None:
    body.add("csf", Ellipsoid((0, 5, 716), (18, 20, 12)))
    cerebellum = body.ellipsoid("cerebellum", (0, -48, 692), (57, 38, 27), shift=1) & _CRANIUM.grown(-8)
    body.add("brain", cerebellum, hu=gray)
    folia = NoiseSheets(Noise(body.seed + 1, 4.0), 0.10)
    body.add("csf", cerebellum & folia, hu=18, over=("brain",))
    stem = body.tube(
        "brainstem",
        [(0, -4, 726), (0, -5, 708), (0, -9, 692), (0, -15, 672), (0, -22, 655)],
        [13, 14, 13, 8, 6],
        shift=1,
    )
    body.add("csf", tube([(0, -2, 712), (0, -15, 676), (0, -24, 655)], [18, 15, 9]), over=("brain", "skull", "spine"))
    body.add("brain", stem, hu=gray - 4)


def _add_ventricles(body: Body, atrophy: float) -> None:
    wide = (0.75 + 0.2 * atrophy) * body.vary.size("ventricles", 0.12)[0]
    body_of = [(8, 36, 744), (12, 22, 753), (15, -4, 757), (24, -32, 750), (21, -58, 744)]
    body.add_pair("csf", tube(body_of, np.array([4.5, 6, 5.5, 7.5, 3]) * wide, (0.85, 1, 1.1)))
    body.add_pair("csf", tube([(24, -32, 750), (36, -16, 728), (35, 4, 718)], np.array([6, 3.5, 2.5]) * wide))
    body.add("csf", Ellipsoid((0, -2, 735), (2.4 * wide, 14, 9)))
    body.add("csf", Ellipsoid((0, -27, 692), (7 * wide, 5 * wide, 9)))


def _add_orbits(body: Body) -> None:
    eye = np.array([33, 70, 704]) + body.vary.shift("eye", 0.8)
    cone = tube([(33, 76, 704), (31, 58, 704), (18, 36, 705)], [17, 16, 5])
    body.add_pair(
        "skull", tube([(33, 76, 704), (31, 58, 704), (17, 34, 705)], [19.5, 18.5, 7]) & HalfSpace((0, -1, 0), -77)
    )
    body.add_pair("fat", cone)
    body.add_pair("muscle", Ellipsoid((33, 86, 704), (17, 8, 13)))
    body.add_pair("eyes", Ellipsoid(eye, (12.5, 12.5, 12.5)), hu=55)
    body.add_pair("eyes", Ellipsoid(eye, (11.2, 11.2, 11.2)))
    body.add_pair("eyes", Ellipsoid(np.add(eye, (0, 8, 0)), (4.5, 2.2, 4.5)), hu=95)
    apex = np.array([18, 36, 705])
    body.add_pair("brain", tube([np.add(eye, (-1, -11, 0)), (eye + apex) / 2 - (2, 0, 0), apex], 2.3))
    for dx, dz in ((12, 0), (-12, 0), (0, 12), (0, -12)):
        muscle = tube([np.add(eye, (dx, 2, dz)), (eye + apex) / 2 + (0.75 * dx, 0, 0.75 * dz), apex], 2.0)
        body.add_pair("muscle", muscle, over=("fat",))


def _add_sinuses(body: Body) -> None:
    body.add("skull", Ellipsoid((0, 60, 682), (17, 32, 20), power=4), hu=420)
    body.add("airways", Ellipsoid((0, 60, 680), (15, 33, 17), power=4))
    body.add("skull", Ellipsoid((0, 59, 682), (1.1, 31, 19), power=4), hu=280)
    body.add_pair("muscle", tube([(9, 36, 671), (9, 82, 671)], 3.8, (0.8, 1, 1.1)))
    body.add_pair("muscle", tube([(8, 42, 684), (8, 80, 684)], 2.8, (0.8, 1, 1.2)))
    maxillary = body.ellipsoid("maxillary", (31, 60, 675), (15, 18, 15.5), shift=1, spread=0.08)
    body.add_pair("skull", maxillary.grown(2.0), hu=620)
    body.add_pair("airways", maxillary)
    body.add("skull", Ellipsoid((0, 62, 704), (13, 25, 13), power=4), hu=420)
    body.add("airways", Ellipsoid((0, 62, 704), (11.5, 24, 11.5), power=4))
    walls = NoiseSheets(Noise(body.seed + 2, 4.0), 0.25)
    body.add("skull", Ellipsoid((0, 62, 704), (11.5, 24, 11.5), power=4) & walls, hu=250)
    body.add("skull", Ellipsoid((0, 28, 702), (17, 17, 13)), hu=560)
    body.add("airways", Ellipsoid((0, 30, 702), (13, 12, 9)) - Ellipsoid((0, 30, 702), (0.8, 20, 20)))
    frontal = body.ellipsoid("frontal", (10, 83, 732), (11, 5, 11), shift=1, spread=0.15)
    body.add_pair("skull", frontal.grown(2.5), hu=700)
    body.add_pair("airways", frontal)
