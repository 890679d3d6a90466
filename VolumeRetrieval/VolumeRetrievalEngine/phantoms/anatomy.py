"""The reference body of the phantoms: which organs there are, how dense they are, and how one person differs.

One continuous body from the thighs to the crown in one coordinate system: millimeters, x to the right, y to anterior,
z to superior, the origin between the centers of the hip joints of an adult 1.75 m tall. Landmarks along z: hip joints
0, iliac crest 110, lung bases about 270 to 350, sternal notch 500, first thoracic vertebra 542, chin 628, crown 815.
The numbers are drawn after textbook anatomy to look right, not measured; nothing about real bodies follows from them.

The body is a list of parts, painted in order, later ones over earlier ones, by phantoms.py.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from .shapes import Ellipsoid, Outline, Point, Points, Shape, Union, tube, widened

#: Organ or tissue: CT number in HU without and with an intravenous contrast agent (portal venous phase).
ORGANS: dict[str, tuple[float, float]] = {
    "air": (-1000, -1000),
    "table": (-880, -880),
    "skin": (5, 5),
    "fat": (-102, -102),
    "muscle": (54, 62),
    "lungs": (-845, -840),
    "heart": (44, 125),
    "aorta": (42, 175),
    "vessels": (42, 155),
    "trachea": (-990, -990),
    "esophagus": (35, 45),
    "thyroid": (105, 155),
    "liver": (58, 108),
    "gallbladder": (8, 8),
    "spleen": (48, 118),
    "pancreas": (38, 92),
    "kidneys": (32, 178),
    "stomach": (40, 60),
    "bowel": (36, 62),
    "colon": (36, 58),
    "bladder": (6, 8),
    "rectum": (38, 55),
    "reproductive": (42, 82),
    "brain": (33, 37),
    "csf": (8, 8),
    "eyes": (12, 12),
    "airways": (-985, -985),
    "glands": (22, 55),
    "spinal_cord": (28, 30),
    "spine": (190, 200),
    "discs": (82, 84),
    "skull": (900, 900),
    "mandible": (780, 780),
    "teeth": (1700, 1700),
    "ribs": (420, 420),
    "cartilage": (105, 108),
    "sternum": (260, 260),
    "clavicles": (560, 560),
    "scapulae": (430, 430),
    "humeri": (380, 380),
    "pelvis": (400, 400),
    "sacrum": (260, 260),
    "femurs": (340, 340),
}
#: The number of each organ in a label array.
LABELS: dict[str, int] = {name: number for number, name in enumerate(ORGANS)}

_WITHIN_SKIN = frozenset(label for name, label in LABELS.items() if name not in ("air", "table", "skin"))


@dataclass(frozen=True)
class Part:
    """One step of painting the body.

    Attributes:
        organ: whose label the painted voxels get; "" keeps what they have (a texture or a cavity within an organ).
        shape: where.
        hu: the CT number given.
        over: labels that may be painted over; None for all.
    """

    organ: str
    shape: Shape
    hu: float
    over: frozenset[int] | None = None


class Variation:
    """How one person's organs differ from the reference: repeatable, and independent for every name."""

    def __init__(self, seed: int):
        self.seed = seed

    def rng(self, name: str) -> np.random.Generator:
        """The random numbers that belong to this name: those of other organs do not change when one is added."""
        return np.random.default_rng([74, self.seed, zlib.crc32(name.encode())])

    def shift(self, name: str, mm: float) -> np.ndarray:
        """float64 [3], an offset with this standard deviation on each axis, at most twice it."""
        return np.clip(self.rng(f"{name}/shift").standard_normal(3), -2, 2) * mm

    def size(self, name: str, spread: float) -> np.ndarray:
        """float64 [3], factors for the three radii: one common factor, and a smaller one for each axis."""
        normal = np.clip(self.rng(f"{name}/size").standard_normal(4), -2, 2)
        return np.exp(spread * (normal[0] + 0.5 * normal[1:]))

    def number(self, name: str, low: float, high: float) -> float:
        """A number between these, all equally likely."""
        return float(self.rng(f"{name}/number").uniform(low, high))


@dataclass
class Body:
    """One person's anatomy while it is put together.

    Attributes:
        seed: everything that varies comes from it.
        sex: "F" or "M".
        fat_mm: thickness of the fat under the skin at the waist.
        contrast: whether vessels and organs are enhanced.
        breath_mm: how much lower (negative) or higher the diaphragm stands than in the reference.
        parts: in the order of painting.
        closed: whether the outside is finished: whatever is added from then on stays within the skin.
    """

    seed: int
    sex: str
    fat_mm: float
    contrast: bool
    breath_mm: float
    parts: list[Part] = field(default_factory=list)
    closed: bool = False

    @cached_property
    def vary(self) -> Variation:
        return Variation(self.seed)

    def hu(self, organ: str) -> float:
        """This person's CT number of an organ."""
        usual = ORGANS[organ][self.contrast]
        spread = 0.03 * abs(usual) if usual > 150 else 2.5
        return float(np.clip(usual + spread * self.vary.rng(f"{organ}/hu").standard_normal(), -1000, 3000))

    def add(
        self, organ: str, shape: Shape, hu: float | None = None, over: Sequence[str] = (), texture: bool = False
    ) -> None:
        """Paint this shape next; with `texture` only the CT number changes, and the voxels stay what they are."""
        allowed = frozenset(LABELS[name] for name in over) if over else (_WITHIN_SKIN if self.closed else None)
        self.parts.append(Part("" if texture else organ, shape, self.hu(organ) if hu is None else hu, allowed))

    def add_pair(
        self, organ: str, shape: Shape, hu: float | None = None, over: Sequence[str] = (), texture: bool = False
    ) -> None:
        """Paint this shape of the right side, and its mirror image on the left."""
        self.add(organ, shape | shape.mirrored(), hu, over, texture)

    def ellipsoid(
        self,
        name: str,
        center: Point,
        radii: Point,
        turned: np.ndarray | None = None,
        shift: float = 3.0,
        spread: float = 0.06,
    ) -> Ellipsoid:
        """An ellipsoid that lies and measures a little differently in every person."""
        return Ellipsoid(
            np.asarray(center, float) + self.vary.shift(name, shift),
            np.asarray(radii, float) * self.vary.size(name, spread),
            turned,
        )

    def tube(
        self, name: str, points: Points, radii: float | Point, shift: float = 2.0, stretch: Point = (1, 1, 1)
    ) -> Union:
        """A tube that lies and measures a little differently in every person; its ends move with the rest."""
        nodes = np.asarray(points, float) + self.vary.shift(name, shift)
        return tube(nodes, np.asarray(radii, float) * self.vary.size(name, 0.05)[0], stretch)


#: z, half width, front, back of the trunk without the fat under its skin.
TRUNK = (
    (-104, 24, 20, 30), (-84, 90, 52, 78), (-56, 160, 68, 98), (-20, 170, 72, 105), (20, 165, 74, 104),
    (60, 155, 76, 98), (100, 142, 78, 95), (150, 134, 78, 96), (200, 132, 82, 97), (250, 136, 90, 98),
    (300, 142, 97, 104), (350, 146, 97, 108), (400, 150, 90, 112), (450, 158, 80, 112), (490, 168, 64, 106),
    (512, 150, 50, 98), (530, 112, 42, 88), (546, 84, 34, 76), (562, 64, 30, 68), (580, 50, 26, 62),
)  # fmt: skip
#: The same of the neck, from its own middle 20 mm behind the origin.
NECK = (
    (520, 80, 55, 78), (545, 62, 48, 66), (565, 55, 48, 56), (600, 54, 60, 54), (640, 56, 64, 56), (690, 58, 60, 62),
)  # fmt: skip
#: And of the face, from 30 mm before the origin.
FACE = (
    (606, 26, 12, 20), (618, 42, 40, 50), (630, 48, 65, 55), (642, 52, 67, 58),
    (660, 56, 65, 60), (680, 61, 63, 60), (705, 66, 61, 60), (735, 66, 58, 60),
)  # fmt: skip


def trunk_outline(skin_mm: float = 0.0, fat_mm: float = 0.0) -> Outline:
    """The trunk's muscles, or with the fat around them: thickest at the front of the belly, thin towards the neck."""
    rows = np.asarray(TRUNK, float)
    thickness = fat_mm * np.interp(rows[:, 0], (440, 545), (1.0, 0.25))
    rows[:, 1:] += skin_mm + thickness[:, None] * (1.0, 1.05, 0.8)
    return Outline(rows, squareness=0.62)


def neck_outline() -> Outline:
    return Outline(NECK, squareness=0.45, middle_y=-20)


def face_outline() -> Outline:
    return Outline(FACE, squareness=0.5, middle_y=30)


def add_outside(body: Body) -> None:
    """Skin, the fat under it, and the muscles that fill whatever is not painted later."""
    fat = body.fat_mm
    neck, face = neck_outline(), face_outline()
    scalp = Ellipsoid((0, -2, 735), (79, 98, 85))
    nose = body.ellipsoid("nose", (0, 92, 680), (14, 19, 20), shift=1)
    ear = body.ellipsoid("ear", (69, -10, 694), (8, 14, 23), shift=1)
    lid = Ellipsoid((33, 82, 705), (16, 9, 12))
    plump = 28 + 0.5 * fat
    breast = body.ellipsoid("breast", (68, 84 + 0.6 * fat, 392), (plump * 1.35, plump, plump * 1.2), shift=2)
    thigh = tube([(88, -8, 10), (90, -8, -100), (92, -8, -330)], [86, 86, 74])
    arm = tube([(168, -24, 490), (205, -10, 590), (232, 8, 720), (240, 20, 840)], [42, 42, 36, 32])
    for organ, skin, more in (("skin", 2.0, fat), ("fat", 0.0, fat), ("muscle", 0.0, 0.0)):
        limb = skin + 0.6 * more
        body.add(organ, trunk_outline(skin, more))
        body.add_pair(organ, widened(thigh, limb) | widened(arm, 0.6 * limb))
        body.add(organ, neck.grown(*[skin + 0.25 * more] * 3))
        inset = -4.0 if organ == "muscle" else 0.0
        body.add(organ, face.grown(*[skin + inset] * 3) | scalp.grown(skin + inset))
        body.add(organ, nose.grown(skin + inset))
        body.add_pair(organ, ear.grown(skin) | lid.grown(skin + inset))
        if organ != "muscle" and body.sex == "F":
            body.add_pair(organ, breast.grown(skin))
    if body.sex == "F":
        gland = Ellipsoid(np.add(breast.center, (0, 6, -4)), np.asarray(breast.radii) * 0.55)
        body.add_pair("fat", gland, hu=-5, over=("fat",), texture=True)
    body.closed = True
