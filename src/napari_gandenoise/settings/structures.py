"""What atomic structures to simulate: nanoparticles on their support, or crystals of any material."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, field_validator, model_validator

from napari_gandenoise.settings.base import Settings, setting

__all__ = [
    "SOURCES",
    "CrystalConfig",
    "DefectConfig",
    "Material",
    "Metal",
    "Miller",
    "Range",
    "Ranges",
    "Shape",
    "StructureConfig",
    "StructureSource",
    "Surroundings",
]

Metal = Literal["Pt", "Au", "Pd"]
Material = Literal[
    "Al", "Cu", "Ag", "Au", "Pt", "Pd", "Ni", "Fe", "Cr", "Mo", "W", "Mg", "Ti", "Co", "Zn", "C", "Si", "Ge",
    "GaAs", "InP", "InAs", "CdTe", "ZnS", "SiC", "GaN", "AlN", "ZnO", "CdSe", "MgO", "NaCl", "NiO", "TiN",
    "SrTiO3", "BaTiO3", "LaAlO3", "CeO2", "ZrO2", "CaF2", "MgAl2O4", "Fe3O4", "Co3O4", "TiO2", "SnO2",
    "graphene", "BN", "MoS2", "WS2", "WSe2", "TiS2", "SnS2", "LTA", "MFI",
]  # fmt: skip
Shape = Literal["slab", "wedge", "sphere", "polyhedron", "ridge"]
Surroundings = Literal["vacuum", "carbon", "silica", "silicon nitride", "crystal"]
Range = tuple[float, float]
Miller = tuple[int, int, int]
METALS = {"Pt": "Pt", "Au": "Au", "Pd": "Pd"}
ZONES = {(1, 1, 0): "[110]", (1, 0, 0): "[100]", (1, 1, 1): "[111]", (2, 1, 1): "[211]"}
AXES = {
    (0, 0, 1): "[001]", (1, 0, 0): "[100]", (1, 1, 0): "[110]", (1, 1, 1): "[111]", (2, 1, 0): "[210]",
    (2, 1, 1): "[211]", (1, 1, 2): "[112]",
}  # fmt: skip
SHAPES = {"slab": "Slab", "wedge": "Wedge", "sphere": "Sphere", "polyhedron": "Wulff polyhedron", "ridge": "Ridge"}
SURROUNDINGS = {
    "vacuum": "Nothing (gas)", "carbon": "Carbon film", "silica": "SiO₂ film", "silicon nitride": "Si₃N₄ film",
    "crystal": "Another crystal",
}  # fmt: skip
SOURCES = {"particle": "Nanoparticles on CeO₂", "crystal": "Crystals"}
SUPPORT = "Support and orientation"
MATERIALS, SURROUND, DEFECTS = "Materials", "Orientation and surroundings", "Defects"


class Ranges(Settings):
    """Settings with ranges, whose smaller number comes first."""

    @model_validator(mode="after")
    def _ordered(self) -> Ranges:
        for name, value in self.__dict__.items():
            if isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], float) and value[0] > value[1]:
                raise ValueError(f"{name}: the first number of a range must not exceed the second, got {value}.")
        return self


class StructureConfig(Ranges):
    """Ranges of nanoparticles, bare or on CeO2."""

    kind: Literal["particle"] = "particle"
    metals: tuple[Metal, ...] = setting(
        ("Pt", "Pt", "Au", "Pd"),
        "Metals to draw from; repeats weigh more.",
        title="Material",
        choices=METALS,
        min_length=1,
    )
    diameter_nm: Range = setting((2.0, 5.0), "Particle diameter, nm.", unit="nm")
    zone_axes: tuple[Miller, ...] = setting(
        ((1, 1, 0), (1, 1, 0), (1, 0, 0), (1, 1, 1), (2, 1, 1)),
        "Zone axes of the particle.",
        title="Zone axis",
        choices=ZONES,
        min_length=1,
    )
    tilt_deg: float = setting(
        1.5, "Standard deviation of the tilt off the zone axis, degrees.", title="Tilt", unit="°", ge=0
    )
    supported_fraction: float = setting(0.8, "Share of particles that sit on CeO2.", title="On CeO₂", ge=0, le=1)
    support_zone_axes: tuple[Miller, ...] = setting(
        ((1, 1, 0), (1, 1, 0), (1, 0, 0), (1, 1, 1)),
        "Zone axes of the CeO2 support.",
        title="Zone axis",
        group=SUPPORT,
        choices=ZONES,
        min_length=1,
    )
    support_thickness_nm: Range = setting(
        (2.0, 7.0), "Support thickness along the beam, nm.", title="Thickness", unit="nm", group=SUPPORT
    )
    support_wedge: float = setting(
        0.6, "Largest relative growth of the thickness into the support.", title="Wedge", group=SUPPORT, ge=0
    )
    truncation: Range = setting((0.1, 0.9), "How much of the radius the support cuts off the particle.", group=SUPPORT)
    max_missing_columns: int = setting(3, "At most this many surface columns are removed.", title="Vacancies ≤", ge=0)
    max_extra_columns: int = setting(2, "At most this many columns are added on facets.", title="Adatoms ≤", ge=0)
    rotate_in_plane: bool = setting(
        True, "Turn the whole scene by a random angle.", title="Turn in plane", group=SUPPORT
    )

    @property
    def names(self) -> tuple[str, ...]:
        """What the structures are made of, each name once."""
        return tuple(dict.fromkeys(self.metals))

    @property
    def extent_nm(self) -> Range:
        """What is said of their size: the diameter."""
        return self.diameter_nm


class DefectConfig(Ranges):
    """How often crystals have defects, and how many."""

    vacancies: Range = setting((0.0, 0.01), "Share of atoms that are missing.")
    substitutions: Range = setting((0.0, 0.01), "Share of atoms that another element replaces.")
    adatoms: Range = setting((0.0, 0.3), "Share of the sites just above the surface that hold an atom.")
    steps: float = setting(0.3, "Share of crystals with a surface step.", ge=0, le=1)
    twins: float = setting(0.08, "Share of crystals with a twin boundary.", ge=0, le=1)
    stacking_faults: float = setting(0.08, "Share of crystals with a stacking fault.", ge=0, le=1)
    grain_boundaries: float = setting(0.1, "Share of crystals with a grain boundary.", title="Boundaries", ge=0, le=1)
    dislocations: float = setting(
        0.08, "Share of crystals without such boundaries that have a dislocation.", ge=0, le=1
    )
    relaxation: Range = setting(
        (-0.04, 0.1),
        "Inward shift of the outermost layer, as a share of the shortest distance of atoms; it dies away in a layer.",
    )

    @model_validator(mode="after")
    def _shares(self) -> DefectConfig:
        for name in ("vacancies", "substitutions", "adatoms"):
            low, high = getattr(self, name)
            if not 0 <= low <= high <= 1:
                raise ValueError(f"{name}: shares lie between 0 and 1, got {(low, high)}.")
        if max(map(abs, self.relaxation)) > 1:
            raise ValueError(f"relaxation: at most ±1, got {self.relaxation}.")
        boundaries = self.twins + self.stacking_faults + self.grain_boundaries
        if boundaries > 1:
            raise ValueError(
                f"twins, stacking_faults and grain_boundaries: a crystal has one of them at most, so that they add up "
                f"to no more than 1, got {boundaries:g}."
            )
        return self


THICKEST_NM = 50.0


class CrystalConfig(Ranges):
    """Ranges of crystals of any material: thin, as particles, on films, with defects."""

    kind: Literal["crystal"] = "crystal"
    materials: tuple[Material, ...] = setting(
        (),
        "Materials to draw from; repeats weigh more; none: any of them, unless there are CIF files.",
        title="Materials",
        group=MATERIALS,
        choices={name: name for name in get_args(Material)},
    )
    cif: tuple[Path, ...] = setting(
        (), "CIF files of other materials, each of which counts like one of the list.", title="CIF files"
    )
    shapes: tuple[Shape, ...] = setting(
        ("slab", "wedge", "sphere", "polyhedron", "ridge"),
        "Shapes to draw from; repeats weigh more.",
        choices=SHAPES,
        min_length=1,
    )
    thickness_nm: Range = setting(
        (2.0, 12.0), "Thickness along the beam of slabs, and the largest of wedges, nm.", title="Thickness", unit="nm"
    )
    diameter_nm: Range = setting((3.0, 10.0), "Diameter of particles, width of ridges, nm.", unit="nm")
    wedge_deg: Range = setting((10.0, 60.0), "Angle of wedges, degrees.", title="Wedge", unit="°")
    flakes: float = setting(
        0.7,
        "Share of layered materials (graphene, BN, dichalcogenides) that are flakes of one to four layers, seen along "
        "[001].",
        group=SURROUND,
        ge=0,
        le=1,
    )
    zone_axes: tuple[Miller, ...] = setting(
        ((0, 0, 1), (1, 0, 0), (1, 1, 0), (1, 1, 0), (1, 1, 1), (2, 1, 1)),
        "Zone axes [uvw] along the beam.",
        title="Zone axis",
        choices=AXES,
        group=SURROUND,
        min_length=1,
    )
    random_orientation: float = setting(
        0.15, "Share of crystals that lie in any direction.", title="Any direction", group=SURROUND, ge=0, le=1
    )
    max_tilt_deg: float = setting(
        4.0, "Largest tilt off the zone axis, degrees.", title="Tilt ≤", unit="°", group=SURROUND, ge=0, le=45
    )
    surroundings: tuple[Surroundings, ...] = setting(
        ("vacuum", "carbon", "silica", "silicon nitride", "crystal"),
        "What the crystal lies on; repeats weigh more.",
        title="On",
        choices=SURROUNDINGS,
        group=SURROUND,
        min_length=1,
    )
    film_thickness_nm: Range = setting(
        (1.0, 6.0), "Thickness of an amorphous film, nm.", title="Film", unit="nm", group=SURROUND
    )
    defects: DefectConfig = setting(DefectConfig(), "Defects of the crystals.", group=DEFECTS)

    @field_validator("cif", mode="before")
    @classmethod
    def _several(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str | Path) else value

    @model_validator(mode="after")
    def _sizes(self) -> CrystalConfig:
        for name, most in (("thickness_nm", THICKEST_NM), ("film_thickness_nm", THICKEST_NM), ("wedge_deg", 85.0)):
            low, high = getattr(self, name)
            if not 0 < low <= high <= most:
                raise ValueError(f"{name}: numbers above 0 and up to {most:g}, got {(low, high)}.")
        if self.diameter_nm[0] <= 0:
            raise ValueError(f"diameter_nm: numbers above 0, got {self.diameter_nm}.")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """What the structures are made of, each name once; files by their names."""
        named = tuple(dict.fromkeys((*self.materials, *(path.stem for path in self.cif))))
        return named or ("any material",)

    @property
    def extent_nm(self) -> Range:
        """What is said of their size: the thickness."""
        return self.thickness_nm


StructureSource = Annotated[StructureConfig | CrystalConfig, Field(discriminator="kind")]
