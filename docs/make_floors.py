"""Draw the picture in ARCHITECTURE.md: the floors of the package and the imports that the code really has.

::

    python docs/make_floors.py

Floors are read from the import contract in ``pyproject.toml``, arrows from the imports themselves.  An arrow that
follows from others (a imports b, b imports c, so an arrow from a to c says little) is left out.
"""

from __future__ import annotations

import tomllib
from itertools import permutations
from pathlib import Path
from random import Random

import grimp
import networkx as nx

HERE = Path(__file__).parent
PACKAGE = "napari_gandenoise"
Point = tuple[float, float]
WIDTH, BOX, FLOOR, TOP = 880, (112, 42), 96, 10
STYLE = """
  text { font: 14px system-ui, sans-serif; fill: #1d2733; text-anchor: middle; dominant-baseline: central }
  .small { font-size: 11px }
  .floor { fill: #eef2f6 } .room { fill: #ffffff; stroke: #52667a; stroke-width: 1.2 }
  .arrow { fill: none; stroke: #7d93a8; stroke-width: 1.3 }
"""
STARTS = 60
EVERYWHERE = {"errors", "progress", "writing"}  # used by many rooms: arrows to them would hide the rest
# What only one room may import.
ONLY_HERE = {"widgets": "napari, Qt", "simulate": "ASE"}


def floors() -> list[list[str]]:
    """Rooms of each floor, top floor first, as the import contract has them."""
    project = tomllib.loads((HERE.parent / "pyproject.toml").read_text(encoding="utf-8"))
    layers = project["tool"]["importlinter"]["contracts"][0]["layers"]
    return [[room.strip() for room in layer.split("|")] for layer in layers]


def imports(rooms: set[str]) -> nx.DiGraph:
    """Which room imports which, without what follows from the rest."""
    arrows_to = rooms - EVERYWHERE
    graph = grimp.build_graph(PACKAGE, exclude_type_checking_imports=True, cache_dir=None)
    edges = set()
    for module in graph.modules - {PACKAGE}:
        for imported in graph.find_modules_directly_imported_by(module) - {PACKAGE}:
            pair = tuple(name.split(".")[1] for name in (module, imported))
            if pair[0] != pair[1] and pair[0] in rooms and pair[1] in arrows_to:
                edges.add(pair)
    drawn = nx.transitive_reduction(nx.DiGraph(sorted(edges)))
    drawn.add_nodes_from(rooms)
    return drawn


def places(rows: list[list[str]], drawn: nx.DiGraph) -> dict[str, Point]:
    """Centres of the rooms: in an order within the floors that makes arrows short and lets no room hide one."""

    def place(orders: tuple[tuple[str, ...], ...]) -> dict[str, Point]:
        at = {}
        for level, row in enumerate(orders):
            shift = 0.22 * (-1) ** level  # a floor stands in the gaps of the next
            for column, name in enumerate(row, start=1):
                at[name] = ((column + shift) * WIDTH / (len(row) + 1), TOP + (level + 0.5) * FLOOR)
        return at

    def cost(at: dict[str, Point]) -> float:
        hidden = sum(passes(at[a], at[b], at[c]) for a, b in drawn.edges for c in at if c not in (a, b))
        return 300 * hidden + sum(abs(at[a][0] - at[b][0]) for a, b in drawn.edges)

    def settled(orders: tuple[tuple[str, ...], ...]) -> tuple[tuple[str, ...], ...]:
        least = float("inf")
        while (now := cost(place(orders))) < least:
            least = now
            for floor in range(len(orders)):
                tried = [(*orders[:floor], order, *orders[floor + 1 :]) for order in permutations(orders[floor])]
                orders = min(tried, key=lambda orders: cost(place(orders)))
        return orders

    # All orders together are too many: one floor after the other, from many starts.
    random = Random(0)
    starts = [tuple(tuple(random.sample(row, len(row))) for row in rows) for _ in range(STARTS)]
    return min((place(settled(start)) for start in starts), key=cost)


def curve(start: Point, end: Point) -> list[Point]:
    """Bézier points from the foot of one room to the top of another."""
    (x1, y1), (x2, y2) = (start[0], start[1] + BOX[1] / 2), (end[0], end[1] - BOX[1] / 2 - 3)
    bend = (y2 - y1) / 2
    return [(x1, y1), (x1, y1 + bend), (x2, y2 - bend), (x2, y2)]


def passes(start: Point, end: Point, other: Point) -> bool:
    """Whether an arrow runs behind a third room, or close by."""
    if not start[1] < other[1] < end[1]:
        return False
    for y in (other[1] - BOX[1] / 2, other[1], other[1] + BOX[1] / 2):
        share = (y - start[1]) / (end[1] - start[1])  # of the way down, which the curve takes nearly evenly
        x = start[0] + (3 * share**2 - 2 * share**3) * (end[0] - start[0])
        if abs(x - other[0]) < BOX[0] / 2 + 8:
            return True
    return False


def arrow(start: Point, end: Point) -> str:
    """Draw a curve between two rooms."""
    first, *rest = (f"{x:.0f},{y:.0f}" for x, y in curve(start, end))
    return f'<path class="arrow" marker-end="url(#head)" d="M{first} C{" ".join(rest)}"/>'


def room(name: str, centre: Point) -> str:
    """Draw a box with a name."""
    x, y = centre
    corner = f'x="{x - BOX[0] / 2:.0f}" y="{y - BOX[1] / 2:.0f}" width="{BOX[0]}" height="{BOX[1]}" rx="6"'
    box = f'<rect class="room" {corner}/>'
    if name not in ONLY_HERE:
        return f'{box}<text x="{x:.0f}" y="{y:.0f}">{name}</text>'
    small = f'<text x="{x:.0f}" y="{y + 11:.0f}" class="small">+ {ONLY_HERE[name]}</text>'
    return f'{box}<text x="{x:.0f}" y="{y - 7:.0f}">{name}</text>{small}'


def picture() -> str:
    """Draw everything."""
    rows = floors()
    rooms = {name for row in rows for name in row}
    drawn = imports(rooms)
    at = places(rows, drawn)
    height = TOP * 2 + FLOOR * len(rows)
    bands = [
        f'<rect class="floor" x="10" y="{TOP + level * FLOOR + 12}" width="{WIDTH - 20}" height="{FLOOR - 24}" rx="8"/>'
        for level in range(len(rows))
    ]
    head = '<marker id="head" viewBox="0 0 8 8" refX="5" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}">',
        f"<style>{STYLE}</style>",
        f'<defs>{head}<path d="M0,0 L8,4 L0,8 z" fill="#7d93a8"/></marker></defs>',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        *bands,
        *(arrow(at[a], at[b]) for a, b in sorted(drawn.edges)),
        *(room(name, at[name]) for name in sorted(rooms)),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    (HERE / "images" / "floors.svg").write_text(picture(), encoding="utf-8")
