"""Chest, belly and pelvic organs of the reference body, and the assembly of the whole person."""

from __future__ import annotations

import numpy as np

from .anatomy import Body, Part, add_outside
from .head import add_head, add_neck
from .shapes import Ellipsoid, HalfSpace, Noise, NoiseSheets, NoiseTubes, Outline, Shape, axes, pointing, tube
from .skeleton import add_pelvis, add_rib_cage, add_shoulders, add_spine, cage_outline

#: z, half width, front, back of the abdominal and pelvic cavity.
CAVITY = (
    (-38, 38, 40, 55), (0, 60, 54, 70), (40, 78, 62, 66), (80, 104, 65, 52), (120, 117, 66, 52), (160, 117, 66, 54),
    (200, 116, 70, 58), (250, 118, 78, 66), (300, 119, 80, 72),
)  # fmt: skip
#: The same of the space between the lungs.
MEDIASTINUM = (
    (300, 34, 95, 70), (360, 28, 95, 68), (410, 20, 90, 66), (440, 24, 80, 66), (470, 28, 66, 62), (500, 27, 52, 60),
    (550, 28, 40, 60),
)  # fmt: skip


class BelowDiaphragm(Shape):
    """Under the two domes of the diaphragm, which fall off towards the wall of the chest."""

    def __init__(self, cage: Outline, right: float, left: float):
        self.cage, self.right, self.left = cage, float(right), float(left)
        self._bounds = np.array([[-np.inf, -np.inf, -np.inf], [np.inf, np.inf, max(right, left)]])

    def mirrored(self) -> BelowDiaphragm:
        return self

    def inside(self, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        side = np.clip(x / np.float32(50), -1, 1)
        dome = np.float32((self.right + self.left) / 2) + np.float32((self.right - self.left) / 2) * side
        aside = np.square((np.abs(x) - 62) / np.float32(66))
        depth = np.square((y - 12) / np.where(y > 12, np.float32(88), np.float32(96)))
        return z < dome - np.float32(34) * aside - np.where(y > 12, np.float32(40), np.float32(62)) * depth


def build(body: Body) -> list[Part]:
    """The whole person: every part in the order of painting."""
    cage = cage_outline()
    below = BelowDiaphragm(cage, 352 + body.breath_mm, 338 + body.breath_mm)
    add_outside(body)
    _add_back_muscles(body)
    body.add("fat", Outline(CAVITY, squareness=0.7))
    wall = cage.grown(-9.5, -9.5, -9.5)
    body.add("fat", wall & below)
    _add_lungs(body, wall - below)
    add_rib_cage(body, cage)
    _add_mediastinum(body, below)
    inside = wall.grown(-2, -2, -2) & below
    _add_bowel(body)
    _add_upper_organs(body, inside)
    _add_retroperitoneum(body)
    add_neck(body)
    add_spine(body)
    add_shoulders(body)
    add_pelvis(body)
    _add_pelvic_organs(body)
    _add_great_vessels(body)
    add_head(body)
    return body.parts


def _add_back_muscles(body: Body) -> None:
    """Planes of fat between the muscles of back, hips and thighs: what makes a section look like a body."""
    for name, center, radii, yaw in (
        ("gluteal", (84, -78, 22), (62, 3.5, 66), 26),
        ("gluteal deep", (98, -52, 36), (46, 3, 44), 40),
        ("groin", (70, 52, -40), (26, 14, 60), -20),
    ):
        body.add_pair("fat", body.ellipsoid(name, center, radii, axes(yaw=yaw)), over=("muscle",))
    body.add_pair("fat", Ellipsoid((58, -72, 150), (46, 4, 80)), over=("muscle",))
    body.add_pair("fat", Ellipsoid((104, -100, 460), (60, 3, 76)), over=("muscle",))
    body.add_pair("fat", Ellipsoid((128, 2, 470), (22, 34, 34)), over=("muscle",))
    body.add_pair("fat", Ellipsoid((128, 6, 420), (12, 30, 60)), over=("muscle",))
    marbling = NoiseSheets(Noise(body.seed + 5, 9.0), 0.035, level=0.5)
    body.add("fat", Outline([[-330, 190, 100, 120], [660, 190, 100, 120]], 0.8) & marbling, -40, over=("muscle",))
    between = NoiseSheets(Noise(body.seed + 9, 17.0), 0.06)
    body.add("fat", Outline([[-330, 190, 100, 120], [50, 190, 100, 120]], 0.8) & between, over=("muscle",))


def _add_lungs(body: Body, chest: Shape) -> None:
    gap = Outline(MEDIASTINUM, squareness=0.3, middle_y=-5)
    lungs = chest - gap
    body.add("lungs", lungs)
    blood = -20.0 if not body.contrast else 60.0
    for size, width, reach in ((13.0, 0.62, 45.0), (7.0, 0.27, 95.0)):
        vessels = NoiseTubes(body.seed, size, width, origin=(38, -18, 430), reach_mm=reach)
        body.add("lungs", lungs & vessels, hu=blood, over=("lungs",), texture=True)
    body.add("fat", gap & chest)


def _add_mediastinum(body: Body, below: Shape) -> None:
    lift = np.array([0, 0, 0.6 * body.breath_mm])
    center = np.array([-16, 22, 388]) + body.vary.shift("heart", 3) + lift
    size = body.vary.size("heart", 0.06)
    turned = pointing((-0.72, 0.50, -0.48))
    outer = Ellipsoid(center, np.array([64, 46, 43]) * size, turned)
    body.add("fat", outer.grown(6) - below)
    body.add("heart", outer - below, hu=body.hu("heart") if not body.contrast else 95)
    for at, radii, hu in (
        ((-26, 14, -16), (30, 16, 16), 150),
        ((2, 24, -10), (34, 13, 20), 142),
        ((14, -20, 16), (26, 17, 17), 152),
        ((36, 4, 8), (17, 20, 24), 138),
    ):
        chamber = Ellipsoid(center + at, np.asarray(radii) * size, turned if at[0] < 10 else None)
        body.add("heart", chamber, hu=hu if body.contrast else 40, over=("heart",), texture=True)
    for points, widths in (
        ([(27, 12, 505), (24, 8, 460), (24, 2, 415)], [8, 10, 11]),
        ([(-12, 32, 412), (-14, 18, 438), (-6, 0, 446)], [14, 13, 12]),
        ([(-6, 0, 446), (20, -14, 440), (46, -18, 430)], [11, 9, 7]),
        ([(-6, 0, 446), (-28, -22, 445), (-48, -30, 436)], [11, 9, 7]),
        ([(14, -14, 410), (44, -24, 404)], [8, 6]),
        ([(-20, -20, 412), (-46, -30, 404)], [8, 6]),
        ([(24, 14, 500), (46, 26, 504), (86, 12, 512)], [8, 7, 6]),
        ([(24, 16, 494), (-14, 30, 500), (-46, 26, 504), (-86, 12, 512)], [8, 7, 7, 6]),
        ([(14, 24, 478), (16, 8, 510)], [6, 5]),
        ([(-8, 8, 480), (-14, 2, 508)], [4, 3.6]),
        ([(-14, -6, 478), (-24, -14, 508), (-50, -10, 516)], [4.5, 4.5, 4.5]),
    ):
        body.add("vessels", tube(points, widths))
    trachea = [(0, 9, 578), (0, 2, 545), (1, -8, 500), (2, -16, 458)]
    for grow, organ, ct in ((2.0, "cartilage", 60.0), (0.0, "trachea", None)):
        body.add(organ, tube(trachea, np.array([8.5, 8.5, 8.5, 9.5]) + grow), hu=ct)
        body.add(organ, tube([(2, -16, 458), (18, -20, 444), (42, -24, 426)], np.array([8, 7, 5]) + 0.8 * grow), hu=ct)
        body.add(
            organ,
            tube([(2, -16, 458), (-20, -22, 438), (-46, -30, 418)], np.array([8, 6, 4.5]) + 0.8 * grow),
            hu=ct,
        )
    gullet = [
        (0, -1, 588), (-3, -14, 545), (-3, -27, 500), (-1, -36, 450), (-6, -34, 400), (-18, -22, 355),
        (-30, -12, 328),
    ]  # fmt: skip
    body.add("esophagus", tube(gullet, 7.0, (1.25, 0.8, 1)))
    if body.vary.number("swallowed air", 0, 1) > 0.4:
        body.add("esophagus", tube(gullet[1:5], 2.2, (1.4, 0.7, 1)), hu=-700, texture=True)


def _add_upper_organs(body: Body, inside: Shape) -> None:
    lift = np.array([0, 0, body.breath_mm])
    shift = body.vary.shift("liver", 3.5) + lift
    size = body.vary.size("liver", 0.07)
    _add_stomach(body, lift, inside)
    mass = Ellipsoid(np.array([54, 6, 284]) + shift, np.array([84, 92, 90]) * size)
    edge = HalfSpace((0.72, -0.1, 1), 272 + shift[2])
    left_lobe = Ellipsoid(np.array([-4, 42, 300]) + shift, np.array([58, 36, 40]) * size)
    # The visceral surface: the liver leaves room for kidney, stomach and duodenum behind its left lobe.
    hollow = Ellipsoid(np.array([2, -36, 262]) + shift, (38, 42, 48))
    liver = ((mass & edge) | (left_lobe & edge)) - hollow
    body.add("liver", liver & inside)
    branches = NoiseTubes(body.seed + 3, 15.0, 0.30)
    body.add("liver", (mass & edge) & branches, hu=150 if body.contrast else 44, over=("liver",), texture=True)
    body.add("gallbladder", body.ellipsoid("gallbladder", np.array([50, 50, 230]) + lift, (14, 22, 15), spread=0.15))
    spleen = body.ellipsoid(
        "spleen", np.array([-94, -42, 296]) + lift, (27, 46, 48), pointing((0.9, -0.4, 0.15)), spread=0.09
    )
    body.add("spleen", (spleen & inside) - Ellipsoid(np.array([-54, -14, 298]) + lift, (26, 26, 34)))


def _add_stomach(body: Body, lift: np.ndarray, inside: Shape) -> None:
    line = (
        np.array([(-52, -22, 322), (-62, 2, 300), (-58, 34, 262), (-30, 52, 236), (8, 46, 236), (26, 30, 242)]) + lift
    )
    line += body.vary.shift("stomach", 4)
    radii = np.array([30, 33, 27, 21, 15, 11]) * body.vary.size("stomach", 0.08)[0]
    body.add("stomach", tube(line, radii + 3.5) & inside)
    filled = tube(line[:-1], radii[:-1] - 1.5) & inside
    body.add("stomach", filled, hu=body.vary.number("meal", 8, 70), texture=True)
    fluid_level = HalfSpace((0, 1, 0), body.vary.number("gastric air", 14, 46) + float(lift[1]))
    body.add("stomach", filled & fluid_level, hu=-960, texture=True)


def _add_bowel(body: Body) -> None:
    """Small bowel as a tangle, large bowel as a frame around it; gas rises to the front of a person on their back."""
    vary = body.vary
    field = Ellipsoid((-4, 24, 128), (84, 42, 88), power=4) & Outline(CAVITY, squareness=0.7).grown(-5, -5, -5)
    loops = Noise(body.seed + 4, 12.0)
    body.add("bowel", field & NoiseSheets(loops, 0.62, level=0.75), over=("fat",))
    body.add("bowel", field & NoiseSheets(loops, 0.38, level=0.78), hu=18, over=("bowel",), texture=True)
    gas = (field & NoiseSheets(loops, 0.34, level=1.35)) & HalfSpace((0, 1, 0), 24)
    body.add("bowel", gas, hu=-920, over=("bowel",), texture=True)
    frame = np.array([
        (76, 8, 66), (88, 2, 110), (90, 0, 165), (84, 12, 212), (62, 46, 206), (22, 58, 184), (-22, 58, 188),
        (-66, 44, 218), (-96, 2, 258), (-98, -22, 220), (-98, -20, 150), (-92, -8, 92), (-70, 12, 58),
        (-34, 4, 62), (-12, -18, 76), (6, -40, 62), (2, -54, 34),
    ], float)  # fmt: skip
    frame += np.clip(vary.rng("colon/bends").standard_normal(frame.shape), -2, 2) * (3, 4, 5)
    radii = np.array([26, 25, 24, 23, 21, 20, 20, 20, 18, 16, 15, 15, 15, 14, 14, 15, 16]) * vary.size("colon", 0.1)[0]
    folds = NoiseSheets(Noise(body.seed + 6, 9.0), 0.20)
    inner = tube(frame, radii - 3.0)
    body.add("colon", tube(frame, radii))
    body.add("colon", inner, hu=vary.number("stool", 10, 60), texture=True)
    speckle = NoiseSheets(Noise(body.seed + 7, 3.0), 0.35, level=1.0)
    body.add("colon", inner & speckle, hu=-450, over=("colon",), texture=True)
    for piece in inner.pieces:
        middle = (piece.bounds[0, 1] + piece.bounds[1, 1]) / 2
        front = HalfSpace((0, 1, 0), middle + vary.number(f"colon gas {middle:.0f}", -8, 12))
        body.add("colon", (piece & front) - folds, hu=-940, over=("colon",), texture=True)


def _add_retroperitoneum(body: Body) -> None:
    for side, z in ((1, 222), (-1, 232)):
        name = f"kidney {side}"
        center = np.array([side * 62, -38, z + 0.5 * body.breath_mm]) + body.vary.shift(name, 3.5)
        size = body.vary.size(name, 0.07)
        turned = pointing((side * -0.24, -0.16, 0.95))
        body.add("fat", Ellipsoid(center, np.array([64, 36, 38]) * size, turned), over=("muscle",))
        body.add("kidneys", Ellipsoid(center, np.array([54, 27, 28]) * size, turned))
        medulla = NoiseSheets(Noise(body.seed + 8, 6.0), 0.5, level=0.6)
        core = Ellipsoid(center, np.array([44, 18, 19]) * size, turned)
        body.add("kidneys", core & medulla, hu=body.hu("kidneys") - (45 if body.contrast else 4), texture=True)
        body.add("fat", Ellipsoid(np.add(center, (-side * 11, 6, 0)), np.array([26, 8, 14]) * size, turned))
        ureter = [
            np.add(center, (-side * 16, 8, -10)), (side * 36, -8, 160), (side * 38, 4, 90), (side * 40, -30, 30),
            (side * 18, -8, 6),
        ]  # fmt: skip
        body.add("vessels", tube(ureter, 2.4), hu=20)
    pancreas = [(34, 14, 222), (30, 18, 236), (8, 24, 246), (-24, 8, 256), (-56, -10, 270), (-76, -24, 282)]
    body.add("pancreas", body.tube("pancreas", pancreas, [16, 17, 12, 11, 11, 9], shift=3))
    duodenum = [(30, 32, 244), (46, 22, 236), (46, 6, 208), (34, 0, 182), (2, 2, 176), (-28, 8, 196)]
    body.add("bowel", tube(duodenum, 11))
    body.add("bowel", tube(duodenum, 6.5), hu=15, texture=True)
    psoas = [(27, -48, 262), (36, -42, 200), (46, -34, 140), (56, -12, 90), (62, 22, 40), (74, 28, 5), (100, 2, -45)]
    body.add_pair("muscle", body.tube("psoas", psoas, [6, 11, 15, 17, 16, 13, 8], shift=1.5))
    body.add_pair("muscle", tube([(72, -52, 240), (78, -50, 130)], [8, 15], (1.4, 0.6, 1)))
    body.add_pair("muscle", Ellipsoid((66, -4, 78), (42, 10, 44), pointing((0.56, 0.83, 0.0))))


def _add_great_vessels(body: Body) -> None:
    aorta = [
        (-2, 20, 408), (10, 24, 430), (12, 20, 458), (2, 6, 478), (-14, -16, 480), (-24, -38, 466), (-27, -48, 440),
        (-25, -50, 400), (-17, -46, 350), (-8, -38, 300), (-7, -28, 255), (-7, -16, 200), (-5, -9, 150), (-2, -10, 112),
    ]  # fmt: skip
    width = [15, 15, 14.5, 14, 13.5, 12.5, 12, 11.5, 11, 10.5, 10, 9, 8.5, 8]
    body.add("aorta", body.tube("aorta", aorta, width, shift=1.0))
    cava = [(20, -12, 104), (19, -8, 160), (19, -12, 220), (22, -14, 280), (24, -6, 330), (24, 0, 378)]
    body.add("vessels", body.tube("cava", cava, [11, 10, 10.5, 11, 12, 12], shift=1.0))
    body.add("vessels", tube([(14, 8, 228), (24, 12, 254), (44, 14, 276)], [6.5, 6.5, 6]))
    body.add("vessels", tube([(14, 8, 234), (-24, -6, 262), (-70, -26, 292)], [5, 4.5, 4]))
    body.add("vessels", tube([(-5, 2, 230), (0, 12, 190), (10, 18, 140)], [4, 4, 3]))
    for side in (1, -1):
        body.add("vessels", tube([(-4, -12, 204), (side * 44, -36, 222)], [4, 3]))
        iliac = [
            (-2, -12, 114), (side * 26, -18, 86), (side * 44, -2, 52), (side * 56, 38, 14), (side * 62, 52, -20),
            (side * 66, 44, -90),
        ]  # fmt: skip
        body.add("vessels", tube(iliac, [6.5, 6, 5.5, 5, 4.8, 4]))
        vein = [
            (18, -16, 106), (side * 26 + 6, -30, 82), (side * 44, -14, 48), (side * 50, 28, 10), (side * 52, 40, -24),
            (side * 58, 34, -90),
        ]  # fmt: skip
        body.add("vessels", tube(vein, [8, 7.5, 7, 6.5, 6, 5]))


def _add_pelvic_organs(body: Body) -> None:
    vary = body.vary
    fullness = vary.number("bladder filling", 0.75, 1.2)
    bladder = Ellipsoid(
        np.array([0, 22, 12 + 8 * fullness]) + vary.shift("bladder", 2), np.array([40, 34, 30]) * fullness
    )
    if body.sex == "F":
        womb = body.ellipsoid("uterus", (3, -8, 44), (25, 34, 22), pointing((0.05, 0.75, 0.5)))
        body.add("reproductive", womb)
        body.add("reproductive", Ellipsoid(womb.center, np.asarray(womb.radii) * 0.3), hu=20, texture=True)
        body.add_pair("reproductive", body.ellipsoid("ovary", (38, -8, 42), (13, 10, 12)), hu=25)
    else:
        body.add("reproductive", body.ellipsoid("prostate", (0, 10, -24), (23, 18, 18), shift=1.5, spread=0.12))
        body.add_pair("reproductive", body.ellipsoid("seminal vesicle", (16, -16, -2), (17, 7, 8), shift=1))
    body.add("bladder", bladder.grown(2.5), hu=40)
    body.add("bladder", bladder, texture=True)
    bowel = [(2, -50, 42), (4, -62, 22), (0, -58, 0), (0, -44, -24), (0, -50, -48)]
    body.add("rectum", body.tube("rectum", bowel, [16, 18, 19, 15, 10]))
    gas = vary.number("rectal gas", -900, 60)
    body.add("rectum", tube(bowel[:4], [8, 10, 10, 5]), hu=gas if gas < -300 else 40, texture=True)
