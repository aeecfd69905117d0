"""Draw the picture in ARCHITECTURE.md: the floors of the package and the imports that the code really has.

::

    python docs/make_floors.py

Floors are read from the import contract in ``pyproject.toml``, arrows from the imports themselves.  An arrow that
follows from others (a imports b, b imports c, so an arrow from a to c says little) is left out.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

import grimp
import networkx as nx

HERE = Path(__file__).parent
PACKAGE = "napari_gandenoise"
WIDTH, BOX, FLOOR, TOP = 880, (118, 38), 92, 20
STYLE = """
  text { font: 14px system-ui, sans-serif; fill: #1d2733; text-anchor: middle; dominant-baseline: central }
  .floor { fill: #eef2f6 } .room { fill: #ffffff; stroke: #52667a; stroke-width: 1.2 }
  .arrow { fill: none; stroke: #7d93a8; stroke-width: 1.3 }
"""
# What only one room may import.
OUTSIDE = {"widgets": "napari, Qt", "simulate": "ASE, abTEM"}


def floors() -> list[list[str]]:
    """Rooms of each floor, top floor first, as the import contract has them."""
    project = tomllib.loads((HERE.parent / "pyproject.toml").read_text(encoding="utf-8"))
    layers = project["tool"]["importlinter"]["contracts"][0]["layers"]
    return [[room.strip() for room in layer.split("|")] for layer in layers]


def imports(rooms: set[str]) -> nx.DiGraph:
    """Which room imports which, without what follows from the rest."""
    graph = grimp.build_graph(PACKAGE, exclude_type_checking_imports=True, cache_dir=None)
    edges = set()
    for module in graph.modules - {PACKAGE}:
        for imported in graph.find_modules_directly_imported_by(module) - {PACKAGE}:
            pair = tuple(name.split(".")[1] for name in (module, imported))
            if pair[0] != pair[1] and rooms.issuperset(pair):
                edges.add(pair)
    drawn = nx.transitive_reduction(nx.DiGraph(sorted(edges)))
    drawn.add_nodes_from(rooms)
    return drawn


def places(rows: list[list[str]], drawn: nx.DiGraph) -> dict[str, tuple[float, float]]:
    """Centres of the rooms; each row is ordered by where its importers stand, so that few arrows cross."""
    found: dict[str, tuple[float, float]] = {}
    for level, row in enumerate(rows):
        above = {room: [found[r][0] for r in drawn.predecessors(room) if r in found] for room in row}
        middle = {room: sum(xs) / len(xs) if xs else WIDTH / 2 for room, xs in above.items()}
        step = WIDTH / (len(row) + 1)
        for place, room in enumerate(sorted(row, key=lambda r: middle[r]), start=1):
            found[room] = (place * step, TOP + (level + 0.5) * FLOOR)
    return found


def arrow(start: tuple[float, float], end: tuple[float, float]) -> str:
    """Draw a curve from the foot of one room to the top of another."""
    (x1, y1), (x2, y2) = (start[0], start[1] + BOX[1] / 2), (end[0], end[1] - BOX[1] / 2 - 3)
    bend = (y2 - y1) / 2
    path = f"M{x1:.0f},{y1:.0f} C{x1:.0f},{y1 + bend:.0f} {x2:.0f},{y2 - bend:.0f} {x2:.0f},{y2:.0f}"
    return f'<path class="arrow" marker-end="url(#head)" d="{path}"/>'


def room(name: str, centre: tuple[float, float]) -> str:
    """Draw a box with a name."""
    x, y = centre
    corner = f'x="{x - BOX[0] / 2:.0f}" y="{y - BOX[1] / 2:.0f}" width="{BOX[0]}" height="{BOX[1]}" rx="6"'
    return f'<rect class="room" {corner}/><text x="{x:.0f}" y="{y:.0f}">{name}</text>'


def note(centre: tuple[float, float], words: str) -> str:
    """Write below a room."""
    x, y = centre
    return f'<text x="{x:.0f}" y="{y + BOX[1] / 2 + 9:.0f}" style="font-size: 11px">{words}</text>'


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
        *(note(at[name], f"only here: {what}") for name, what in OUTSIDE.items()),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    (HERE / "images" / "floors.svg").write_text(picture(), encoding="utf-8")
