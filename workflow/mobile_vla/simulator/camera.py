"""Render the view of a pinhole camera on the robot: flat-shaded polygons, far ones first."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from PIL import Image, ImageDraw

from mobile_vla.simulator.world import WALL_X, Colour, Cuboid, Pose, Scene

WIDTH, HEIGHT = 1280, 720  # pixels
FOCAL = 700.0  # pixels: 85 degrees across, a usual wide webcam
EYE = 0.35  # metres above the floor
NEAR = 0.05  # metres; what is nearer to the lens is cut away

Point = tuple[float, float, float]

SKIRTING = 0.08  # metres
SHADE = {"front": 1.0, "side": 0.7, "top": 1.2}


def render(scene: Scene, pose: Pose) -> np.ndarray:
    """Render the image of the camera, which looks along x: (720, 1280, 3) uint8, RGB."""
    image = Image.new("RGB", (WIDTH, HEIGHT), scene.wall)
    draw = ImageDraw.Draw(image)
    reach = max(WALL_X - pose.x, NEAR)  # metres to the wall
    edge = HEIGHT / 2 + FOCAL * EYE / reach
    draw.rectangle((0, edge - FOCAL * SKIRTING / reach, WIDTH, edge), _shaded(scene.wall, 0.6))
    if edge < HEIGHT:  # right before the wall no floor is seen
        draw.rectangle((0, edge, WIDTH, HEIGHT), scene.floor)
    for thing in (scene.box, scene.target):
        _polygon(draw, pose, _shadow(thing), _shaded(scene.floor, 0.75))
    things = (scene.box, scene.target, scene.cap)
    for thing in sorted(things, key=lambda at: -np.hypot(at.x - pose.x, at.y - pose.y)):
        for face, shade in _visible_faces(thing, pose):
            _polygon(draw, pose, face, _shaded(thing.colour, shade))
    return np.asarray(image)


def _shaded(colour: Colour, factor: float) -> Colour:
    red, green, blue = (min(255, int(value * factor)) for value in colour)
    return red, green, blue


def _shadow(thing: Cuboid) -> list[Point]:
    """Return the floor that a lamp above and in front leaves dark, just around the foot."""
    margin = 0.04
    x = (thing.x - thing.depth / 2 - margin, thing.x + thing.depth / 2 + 2 * margin)
    y = (thing.y - thing.width / 2 - margin, thing.y + thing.width / 2 + margin)
    return [(x[0], y[0], 0.0), (x[0], y[1], 0.0), (x[1], y[1], 0.0), (x[1], y[0], 0.0)]


def _visible_faces(thing: Cuboid, pose: Pose) -> Iterator[tuple[list[Point], float]]:
    """Yield the faces that are turned to the camera, with their brightness."""
    x0, x1 = thing.x - thing.depth / 2, thing.x + thing.depth / 2
    y0, y1 = thing.y - thing.width / 2, thing.y + thing.width / 2
    z0, z1 = thing.base, thing.base + thing.height
    if pose.x < x0:
        yield [(x0, y0, z0), (x0, y1, z0), (x0, y1, z1), (x0, y0, z1)], SHADE["front"]
    if not y0 <= pose.y <= y1:
        y = y0 if pose.y < y0 else y1
        yield [(x0, y, z0), (x1, y, z0), (x1, y, z1), (x0, y, z1)], SHADE["side"]
    if z1 < EYE:
        yield [(x0, y0, z1), (x1, y0, z1), (x1, y1, z1), (x0, y1, z1)], SHADE["top"]


def _polygon(draw: ImageDraw.ImageDraw, pose: Pose, points: list[Point], colour: Colour) -> None:
    seen = _clipped([(x - pose.x, y - pose.y, z - EYE) for x, y, z in points])
    if len(seen) >= 3:
        draw.polygon(
            [(WIDTH / 2 - FOCAL * y / x, HEIGHT / 2 - FOCAL * z / x) for x, y, z in seen], colour
        )


def _clipped(points: list[Point]) -> list[Point]:
    """Cut away what lies behind the near plane (Sutherland and Hodgman, 1974)."""
    kept: list[Point] = []
    for start, end in zip(points, points[1:] + points[:1], strict=True):
        if start[0] >= NEAR:
            kept.append(start)
        if (start[0] >= NEAR) != (end[0] >= NEAR):
            part = (NEAR - start[0]) / (end[0] - start[0])
            y, z = (start[axis] + part * (end[axis] - start[axis]) for axis in (1, 2))
            kept.append((NEAR, y, z))
    return kept
