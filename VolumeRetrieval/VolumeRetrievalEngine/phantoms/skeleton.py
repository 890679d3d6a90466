"""The skeleton of the trunk and the limbs: spine, rib cage, shoulder girdle, pelvis, thigh bones."""

from __future__ import annotations

import numpy as np

from .anatomy import Body, neck_outline, trunk_outline
from .shapes import Ellipsoid, HalfSpace, Outline, Point, Points, Shape, Union, profile, tube

#: Bottom of the fifth lumbar vertebra, and the heights of the 24 vertebrae above it.
SPINE_BOTTOM = 80.0
VERTEBRA_HEIGHTS = np.array([36.0] * 5 + list(np.linspace(27, 20, 12)) + [18.0] * 7)
#: z, y of the middle of the vertebral body, its half width and half depth, radius of the canal.
SPINE = (
    (60, -56, 27, 18, 10), (80, -46, 26, 18, 10), (110, -36, 25, 18, 10), (150, -32, 24, 17, 10),
    (200, -38, 22, 16, 10), (260, -50, 19, 15, 9), (320, -58, 17, 14, 8.5), (400, -63, 15, 13, 8.5),
    (450, -61, 14, 12, 8.5), (500, -53, 14, 10, 9), (542, -41, 14, 9, 10), (570, -31, 12.5, 8, 10),
    (605, -22, 12, 8, 10), (640, -18, 11.5, 8, 10.5), (672, -16, 11, 7, 11),
)  # fmt: skip
#: z, half width, front, back of the rib cage's outer surface.
CAGE = (
    (228, 120, 78, 80), (270, 127, 85, 86), (300, 131, 88, 92), (350, 132, 86, 98), (400, 128, 80, 100),
    (450, 117, 69, 98), (490, 97, 51, 92), (515, 76, 36, 84), (535, 56, 22, 74), (550, 38, 10, 64),
)  # fmt: skip


def cage_outline() -> Outline:
    """The outer surface of the ribs."""
    return Outline(CAGE, squareness=0.62)


class Spine(Shape):
    """The vertebral column: its bodies, discs, arches with their processes, or its canal (`part`)."""

    def __init__(self, part: str, inset: float = 0.0):
        self.part, self.inset = part, float(inset)
        edges = SPINE_BOTTOM + np.concatenate([[0.0], np.cumsum(VERTEBRA_HEIGHTS)])
        self.low, self.high = SPINE_BOTTOM - 8, float(edges[-1])
        heights = np.arange(self.low, self.high + 1)
        rows = np.asarray(SPINE, float)
        self._middle, self._half, self._depth, self._canal = (
            profile(rows[:, 0], rows[:, c], heights) for c in range(1, 5)
        )
        level = np.interp(heights, edges, np.arange(len(edges)))
        self._level = np.where(heights < SPINE_BOTTOM, -0.01, level).astype(np.float32)
        # How far back the spinous processes reach: long in the loins, short in the upper neck.
        self._process = profile([80, 120, 300, 540, 600, 670], [20, 22, 25, 28, 17, 10], heights)
        self._wing = profile([80, 150, 250, 300, 540, 580, 670], [38, 44, 34, 30, 36, 24, 30], heights)
        self._bounds = np.array([[-50.0, -150.0, self.low], [50.0, 20.0, self.high]])

    def mirrored(self) -> Spine:
        return self

    def inside(self, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        row = np.clip(z - np.float32(self.low), 0, len(self._middle) - 1).astype(np.intp)
        within = (z >= self.low) & (z < self.high)
        part = self._level[row] % 1
        if self.part in ("body", "disc"):
            return within & self._column(x, y, row, part)
        canal = self._canal[row]
        behind = y - (self._middle[row] - self._depth[row] - canal)
        if self.part == "canal":
            return within & (np.square(x / (1.15 * canal)) + np.square(behind / canal) < 1)
        return within & self._arch(x, y, row, part, behind, canal)

    def _column(self, x: np.ndarray, y: np.ndarray, row: np.ndarray, part: np.ndarray) -> np.ndarray:
        waist = 1 - np.float32(0.5) * np.maximum(0, part - part * part)
        half = (self._half[row] - np.float32(self.inset)) * (waist if self.part == "body" else np.float32(0.97))
        depth = self._depth[row] - np.float32(self.inset)
        section = np.square(x / half) + np.square((y - self._middle[row]) / depth) < 1
        edge = 0.09 + 0.03 * self.inset
        bone = (part > edge) & (part < 1 - edge)
        return section & (bone if self.part == "body" else ~bone)

    def _arch(
        self, x: np.ndarray, y: np.ndarray, row: np.ndarray, part: np.ndarray, behind: np.ndarray, canal: np.ndarray
    ) -> np.ndarray:
        aside = np.abs(x)
        inset = np.float32(self.inset)
        ring = np.square(x / (1.15 * canal + 6 - inset)) + np.square(behind / (canal + 5 - inset)) < 1
        ring &= (part > 0.30 + 0.04 * inset) & (part < 0.92) & (behind < canal * 0.9)
        facets = np.square(aside - 1.25 * canal - 4) + np.square(behind + 0.35 * canal) < np.square(6.5 - inset)
        facets &= (part < 0.36) | (part > 0.82)
        wing = (aside < self._wing[row] - inset) & (np.abs(behind - 2 + 0.3 * (aside - canal)) < 4 - inset)
        wing &= (part > 0.48 + 0.03 * inset) & (part < 0.74 - 0.03 * inset)
        # The processes point down as they go back.
        back = -behind - canal
        part_back = self._level[np.clip(row + 0.55 * back, 0, len(self._level) - 1).astype(np.intp)] % 1
        process = (aside < 3.6 - 0.5 * inset) & (back > 0) & (back < self._process[row] - inset)
        process &= (part_back > 0.28 + 0.04 * inset) & (part_back < 0.74 - 0.04 * inset)
        return ring | facets | wing | process


class Ribs(Shape):
    """Twelve pairs of ribs: bands in the wall of the cage that slope down to the front."""

    PITCH, SLOPE, FIRST = 23.4, 0.36, 262.0

    def __init__(self, cage: Outline, inset: float = 0.0):
        self.outer = cage.grown(-inset, -inset, -inset)
        thick = 8.5 - inset
        self.inner = cage.grown(-thick, -thick, -thick)
        self.half_height = (6.2 - inset) / self.PITCH
        self._bounds = cage.bounds

    def mirrored(self) -> Ribs:
        return self

    def inside(self, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        count = (z + np.float32(self.SLOPE) * (y + 88) - np.float32(self.FIRST)) / np.float32(self.PITCH)
        rib = np.floor(count)
        # The lowest two end in the flank, the next ones reach the costal arch.
        reach = np.where(rib < 1, -45, np.where(rib < 2, -5, np.where(rib < 5, 22 + 16 * rib, 200)))
        band = (np.abs(count - rib - np.float32(0.5)) < self.half_height) & (count > 0) & (count < 12) & (y < reach)
        return band & self.outer.inside(x, y, z) & (self.inner.level(x, y, z) > 1)


def add_spine(body: Body) -> None:
    """Vertebrae, discs, the dural sac and the cord in it."""
    body.add("discs", Spine("disc"))
    for inset, hu in ((0.0, 480.0), (1.8, body.hu("spine"))):
        body.add("spine", Spine("body", inset), hu=hu)
    muscles = trunk_outline().grown(-2, -2, -2) | neck_outline().grown(-2, -2, -2)
    for inset, hu in ((0.0, 560.0), (1.6, 330.0)):
        body.add("spine", Spine("arch", inset) & muscles, hu=hu)
    body.add("csf", Spine("canal"), hu=14)
    cord = [(0, -34, 662), (0, -41, 605), (0, -61, 542), (0, -74, 490), (0, -84, 420), (0, -80, 330), (0, -74, 262)]
    body.add("spinal_cord", tube(cord, [6.5, 6.2, 6.4, 5, 4.6, 4.8, 2.0], (1.15, 0.9, 1)))
    epidural = Spine("canal") & HalfSpace((0, 0, -1), -130)
    body.add("fat", epidural - tube([(0, -58, 140), (0, -62, 110), (0, -74, 60)], [9, 8, 5]))
    dens = tube([(0, -15, 640), (0, -15, 660)], [5, 4.5])
    body.add("spine", dens, hu=520)


def add_rib_cage(body: Body, cage: Outline) -> None:
    """Ribs, their cartilage, and the breastbone."""
    for inset, hu in ((0.0, body.hu("ribs") + 180), (1.7, body.hu("ribs") - 170)):
        ribs = Ribs(cage, inset)
        body.add("ribs", ribs, hu=hu, over=("muscle", "fat", "lungs"))
    front = HalfSpace((-0.25, 1, 0), 34)
    cartilage = (Ribs(cage) & front) & HalfSpace((0.25, 1, 0), 34)
    body.add("cartilage", cartilage, over=("ribs",))
    sternum = [(0, 45, 502), (0, 57, 475), (0, 68, 448), (0, 76, 410), (0, 80, 375), (0, 81, 350)]
    width = np.array([9, 8.5, 6.5, 7, 7, 4])
    body.add("sternum", tube(sternum, width, (2.5, 0.75, 1)), hu=480)
    body.add("sternum", tube(sternum, width - 2.2, (2.6, 0.65, 1)), hu=170)


def _long_bone(body: Body, organ: str, points: Points, radii: Point, marrow_hu: float = -30) -> None:
    body.add_pair(organ, tube(points, radii), hu=1000)
    body.add_pair(organ, tube(points, np.asarray(radii) * 0.55), hu=marrow_hu)


def _spongy(body: Body, organ: str, shape: Ellipsoid | Union, core: Ellipsoid | Union, hu: float) -> None:
    body.add_pair(organ, shape, hu=hu + 380)
    body.add_pair(organ, core, hu=hu)


def _plate(name: str, body: Body, center: Point, radii: Point, along: Point, normal: Point) -> Ellipsoid:
    first = np.asarray(along, float) / np.linalg.norm(along)
    second = np.asarray(normal, float) - np.dot(normal, first) * first
    second /= np.linalg.norm(second)
    return body.ellipsoid(
        name, center, radii, np.stack([first, second, np.cross(first, second)]), shift=1.5, spread=0.04
    )


def add_shoulders(body: Body) -> None:
    """Collar bones, shoulder blades and the raised upper arms, whose elbows lie next to the crown."""
    clavicle = [(15, 44, 503), (45, 48, 510), (88, 22, 522), (142, -22, 524)]
    body.add_pair("clavicles", tube(clavicle, [8, 5.5, 5.5, 6.5]), hu=720)
    body.add_pair("clavicles", tube(clavicle, [5, 2.5, 2.5, 4]), hu=250)
    blade = _plate("scapula", body, (98, -84, 452), (46, 4.5, 66), (0.85, 0.52, 0), (-0.52, 0.85, 0.1))
    _spongy(body, "scapulae", blade, blade.grown(-2.6), 330)
    ridge = tube([(66, -102, 476), (105, -92, 496), (148, -52, 522)], [4, 5.5, 7])
    _spongy(body, "scapulae", ridge, tube([(105, -92, 496), (148, -52, 522)], [3, 4.5]), 300)
    socket = tube([(112, -62, 488), (137, -42, 497)], [9, 14])
    _spongy(body, "scapulae", socket, tube([(112, -62, 488), (137, -42, 497)], [6, 11]), 260)
    body.add_pair("scapulae", tube([(122, -45, 505), (124, -12, 505)], [6, 4.5]), hu=520)
    head = body.ellipsoid("humeral head", (164, -31, 501), (24, 24, 23), shift=1)
    _long_bone(
        body,
        "humeri",
        [(166, -30, 505), (180, -20, 540), (205, -10, 590), (232, 8, 720), (240, 20, 840)],
        [20, 13, 11, 10, 10],
    )
    _spongy(body, "humeri", head, head.grown(-2.5), 190)


def add_pelvis(body: Body) -> None:
    """Hip bones, sacrum and femurs."""
    wide = 4.0 if body.sex == "F" else 0.0
    along, normal = (0.56, 0.83, 0.0), (-0.80, 0.50, 0.35)
    wing = _plate("iliac wing", body, (80 + wide, -16, 68), (66, 7, 54), along, normal)
    _spongy(body, "pelvis", wing, wing.grown(-2.4), 300)
    hip = np.array([88.0 + wide, 0.0, 0.0])
    strut = [(62 + wide, -42, 52), (78 + wide, -14, 38), np.add(hip, (-4, 2, 20))]
    _spongy(body, "pelvis", tube(strut, [14, 14, 17]), tube(strut, [11, 11, 14]), 240)
    joint = Ellipsoid((44, -64, 60), (10, 17, 30))
    _spongy(body, "pelvis", joint, joint.grown(-2.5), 240)
    cup = Ellipsoid(hip, (36, 36, 36)) & HalfSpace((-0.85, 0.1, 0.5), -0.85 * hip[0] - 12)
    body.add_pair("pelvis", cup, hu=620)
    body.add_pair(
        "pelvis", Ellipsoid(hip, (32.5, 32.5, 32.5)) & HalfSpace((-0.85, 0.1, 0.5), -0.85 * hip[0] - 9), hu=260
    )
    ramus = [np.add(hip, (-26, 20, 4)), (48, 42, -6), (12, 52, -18), (9, 48, -36), (32, 14, -62), (52, -22, -66)]
    _spongy(body, "pelvis", tube(ramus, [12, 8, 9, 9, 7, 11]), tube(ramus, [9, 5, 6, 6, 4, 8]), 260)
    ischium = [np.add(hip, (-18, -24, 4)), np.add(hip, (-22, -36, -32)), (54 + wide, -32, -66)]
    _spongy(body, "pelvis", tube(ischium, [13, 14, 13]), tube(ischium, [10, 11, 10]), 250)
    body.add("cartilage", Ellipsoid((0, 50, -26), (4, 9, 17)), hu=110)
    _add_sacrum(body)
    _add_femurs(body, hip)


def _add_sacrum(body: Body) -> None:
    line = [(0, -50, 84), (0, -68, 62), (0, -84, 34), (0, -88, 6), (0, -74, -20)]
    width = np.array([14, 15, 13, 9, 4])
    body.add("sacrum", tube(line, width, (2.9, 1, 1)), hu=500)
    body.add("sacrum", tube(line, width - 2.2, (2.95, 1, 1)), hu=body.hu("sacrum") - 90)
    body.add("csf", tube([(0, -62, 86), (0, -76, 62), (0, -92, 36)], [8, 6, 4], (1.4, 0.8, 1)), hu=5)
    for z, y in ((66, -66), (48, -77), (30, -85)):
        body.add_pair("fat", tube([(17, y + 16, z - 4), (19, y - 14, z)], 3.6))


def _add_femurs(body: Body, hip: np.ndarray) -> None:
    body.add_pair("muscle", Ellipsoid(hip, (28, 28, 28)), over=("pelvis",))
    shaft = [(128, -14, -14), (130, -8, -50), (124, 2, -140), (112, 10, -330)]
    _long_bone(body, "femurs", shaft, [17, 17, 14.5, 14])
    upper = tube([hip, np.add(hip, (22, -4, -8)), (122, -12, -28), (129, -8, -60)], [15, 14, 17, 15])
    core = tube([hip, np.add(hip, (22, -4, -8)), (122, -12, -28), (129, -8, -60)], [12, 11, 14, 9])
    _spongy(body, "femurs", upper, core, 140)
    trochanter = body.ellipsoid("trochanter", (136, -18, 0), (14, 17, 20), shift=1.5)
    _spongy(body, "femurs", trochanter, trochanter.grown(-2.5), 110)
    ball = Ellipsoid(hip, (25, 25, 25))
    _spongy(body, "femurs", ball, ball.grown(-2.2), 290)
