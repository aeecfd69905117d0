"""Published structures: the prototypes, and the materials that have them, with their lattice constants."""

from __future__ import annotations

from typing import NamedTuple

from napari_gandenoise.settings.structures import Material, Miller

__all__ = ["LAYERED", "MATERIALS", "PROTOTYPES", "SURFACE_ENERGIES", "MaterialData", "Prototype"]


class Prototype(NamedTuple):
    """A structure type.

    Attributes
    ----------
    spacegroup : int
        Number in the International Tables for Crystallography, volume A.
    setting : int
        Choice of the origin, where there are two.
    sites : tuple
        Fractional coordinates of the sites of the asymmetric unit; a letter stands for the material's free parameter.
    twin : tuple of int or None
        Plane of the twin that is seen most often; None: the plane that is packed most densely.
    fault : tuple or None
        Plane (hkl) of a stacking fault, and its shift in fractions of the cell's vectors.
    """

    spacegroup: int
    sites: tuple[tuple[float | str, float | str, float | str], ...]
    setting: int = 1
    twin: Miller | None = None
    fault: tuple[Miller, tuple[float, float, float]] | None = None


class MaterialData(NamedTuple):
    """A material: its prototype, the elements on its sites, the lengths of its cell (Å), its free parameter."""

    prototype: str
    elements: tuple[str, ...]
    a: float
    c: float | None = None
    free: float = 0.0
    b: float | None = None


THIRD, QUARTER = 1 / 3, 1 / 4
# Shockley partials of the {111} planes, a/6 <112>, and of the basal planes, 1/3 <10-10>; Hirth and Lothe, Theory of
# Dislocations, 1982, chapters 10 and 11.  Twins: ibid., chapter 23; of spinels: the spinel law, {111}; of rutile:
# (101), Deer, Howie and Zussman, Rock-Forming Minerals, 5.
SHOCKLEY: tuple[Miller, tuple[float, float, float]] = ((1, 1, 1), (1 / 6, 1 / 6, -1 / 3))
BASAL: tuple[Miller, tuple[float, float, float]] = ((0, 0, 1), (2 / 3, 1 / 3, 0.0))

# Sites: Wyckoff, Crystal Structures, 2nd edition, 1963.
PROTOTYPES: dict[str, Prototype] = {
    "fcc": Prototype(225, ((0, 0, 0),), twin=(1, 1, 1), fault=SHOCKLEY),
    "bcc": Prototype(229, ((0, 0, 0),), twin=(1, 1, 2)),
    "hcp": Prototype(194, ((THIRD, 2 * THIRD, QUARTER),), twin=(1, 0, 2), fault=BASAL),
    "diamond": Prototype(227, ((0, 0, 0),), twin=(1, 1, 1), fault=SHOCKLEY),
    "zincblende": Prototype(216, ((0, 0, 0), (QUARTER, QUARTER, QUARTER)), twin=(1, 1, 1), fault=SHOCKLEY),
    "wurtzite": Prototype(186, ((THIRD, 2 * THIRD, 0), (THIRD, 2 * THIRD, "u")), fault=BASAL),
    "rock salt": Prototype(225, ((0, 0, 0), (0.5, 0.5, 0.5)), twin=(1, 1, 1), fault=SHOCKLEY),
    "perovskite": Prototype(221, ((0, 0, 0), (0.5, 0.5, 0.5), (0.5, 0.5, 0)), twin=(1, 1, 1)),
    "fluorite": Prototype(225, ((0, 0, 0), (QUARTER, QUARTER, QUARTER)), twin=(1, 1, 1), fault=SHOCKLEY),
    "spinel": Prototype(227, ((0.125, 0.125, 0.125), (0.5, 0.5, 0.5), ("u", "u", "u")), setting=2, twin=(1, 1, 1)),
    "rutile": Prototype(136, ((0, 0, 0), ("u", "u", 0)), twin=(1, 0, 1)),
    "graphite": Prototype(194, ((0, 0, QUARTER), (THIRD, 2 * THIRD, QUARTER)), fault=BASAL),
    "boron nitride": Prototype(194, ((THIRD, 2 * THIRD, QUARTER), (THIRD, 2 * THIRD, 3 * QUARTER)), fault=BASAL),
    "2H": Prototype(194, ((THIRD, 2 * THIRD, QUARTER), (THIRD, 2 * THIRD, "u")), fault=BASAL),
    "1T": Prototype(164, ((0, 0, 0), (THIRD, 2 * THIRD, "u")), fault=BASAL),
    # Corma et al., Nature 431 (2004) 287: ITQ-29, pure silica.
    "LTA": Prototype(221, ((0.3683, 0.1847, 0), (0.5, 0.2179, 0), (0.2939, 0.2939, 0), (0.3429, 0.1098, 0.1098))),
    # van Koningsveld, van Bekkum and Jansen, Acta Cryst. B43 (1987) 127, Table 3.
    "MFI": Prototype(
        62,
        (
            (0.42238, 0.0565, -0.33598), (0.30716, 0.02772, -0.1893), (0.27911, 0.06127, 0.0312),
            (0.12215, 0.06298, 0.0267), (0.07128, 0.02722, -0.18551), (0.18641, 0.05896, -0.32818),
            (0.42265, -0.1725, -0.32718), (0.30778, -0.13016, -0.18548), (0.27554, -0.17279, 0.03109),
            (0.12058, -0.1731, 0.02979), (0.07044, -0.13037, -0.182), (0.18706, -0.17327, -0.31933),
            (0.3726, 0.0534, -0.2442), (0.3084, 0.0587, -0.0789), (0.2007, 0.0592, 0.0289),
            (0.0969, 0.0611, -0.0856), (0.1149, 0.0541, -0.2763), (0.2435, 0.0553, -0.246),
            (0.3742, -0.1561, -0.2372), (0.3085, -0.1552, -0.0728), (0.198, -0.1554, 0.0288),
            (0.091, -0.1614, -0.0777), (0.1169, -0.1578, -0.2694), (0.2448, -0.1594, -0.2422),
            (0.3047, -0.051, -0.1866), (0.0768, -0.0519, -0.1769), (0.4161, 0.1276, -0.3896),
            (0.4086, -0.0017, -0.4136), (0.402, -0.1314, -0.4239), (0.1886, 0.1298, -0.3836),
            (0.194, 0.0007, -0.4082), (0.1951, -0.1291, -0.419), (-0.0037, 0.0502, -0.208),
            (-0.004, -0.1528, -0.2078), (0.4192, -0.25, -0.354), (0.1884, -0.25, -0.3538),
            (0.2883, -0.25, 0.0579), (0.1085, -0.25, 0.0611),
        ),
    ),
}  # fmt: skip
LAYERED = {"graphite": 2, "boron nitride": 2, "2H": 2, "1T": 1}  # layers in a cell

# Elements: King, Bull. Alloy Phase Diagrams 2 (1981) 401.  Compounds: Wyckoff (above), but wurtzites: Schulz and
# Thiemann, Solid State Commun. 23 (1977) 815 (nitrides), Kisi and Elcombe, Acta Cryst. C45 (1989) 1867 (ZnO); spinels:
# Hill, Craig and Gibbs, Phys. Chem. Miner. 4 (1979) 317, Fleet, Acta Cryst. B37 (1981) 917 (Fe3O4); rutiles: Bolzan et
# al., Acta Cryst. B53 (1997) 373; dichalcogenides: Bronsema et al., Z. anorg. allg. Chem. 540 (1986) 15 (MoS2), Schutte
# et al., J. Solid State Chem. 70 (1987) 207 (WS2, WSe2), Chianelli et al., Mater. Res. Bull. 10 (1975) 1379 (TiS2),
# Hazen and Finger, Am. Mineral. 63 (1978) 289 (SnS2).
MATERIALS: dict[Material, MaterialData] = {
    "Al": MaterialData("fcc", ("Al",), 4.0496),
    "Cu": MaterialData("fcc", ("Cu",), 3.6146),
    "Ag": MaterialData("fcc", ("Ag",), 4.0857),
    "Au": MaterialData("fcc", ("Au",), 4.0782),
    "Pt": MaterialData("fcc", ("Pt",), 3.9236),
    "Pd": MaterialData("fcc", ("Pd",), 3.8903),
    "Ni": MaterialData("fcc", ("Ni",), 3.5240),
    "Fe": MaterialData("bcc", ("Fe",), 2.8665),
    "Cr": MaterialData("bcc", ("Cr",), 2.8846),
    "Mo": MaterialData("bcc", ("Mo",), 3.1470),
    "W": MaterialData("bcc", ("W",), 3.1651),
    "Mg": MaterialData("hcp", ("Mg",), 3.2094, 5.2107),
    "Ti": MaterialData("hcp", ("Ti",), 2.9503, 4.6836),
    "Co": MaterialData("hcp", ("Co",), 2.5071, 4.0694),
    "Zn": MaterialData("hcp", ("Zn",), 2.6644, 4.9494),
    "C": MaterialData("diamond", ("C",), 3.5669),
    "Si": MaterialData("diamond", ("Si",), 5.4306),
    "Ge": MaterialData("diamond", ("Ge",), 5.6574),
    "GaAs": MaterialData("zincblende", ("Ga", "As"), 5.6533),
    "InP": MaterialData("zincblende", ("In", "P"), 5.8687),
    "InAs": MaterialData("zincblende", ("In", "As"), 6.0583),
    "CdTe": MaterialData("zincblende", ("Cd", "Te"), 6.481),
    "ZnS": MaterialData("zincblende", ("Zn", "S"), 5.4093),
    "SiC": MaterialData("zincblende", ("Si", "C"), 4.3596),
    "GaN": MaterialData("wurtzite", ("Ga", "N"), 3.190, 5.189, 0.377),
    "AlN": MaterialData("wurtzite", ("Al", "N"), 3.110, 4.980, 0.3821),
    "ZnO": MaterialData("wurtzite", ("Zn", "O"), 3.2501, 5.2071, 0.3817),
    "CdSe": MaterialData("wurtzite", ("Cd", "Se"), 4.30, 7.02, 0.375),
    "MgO": MaterialData("rock salt", ("Mg", "O"), 4.2112),
    "NaCl": MaterialData("rock salt", ("Na", "Cl"), 5.6406),
    "NiO": MaterialData("rock salt", ("Ni", "O"), 4.1684),
    "TiN": MaterialData("rock salt", ("Ti", "N"), 4.235),
    "SrTiO3": MaterialData("perovskite", ("Sr", "Ti", "O"), 3.9051),
    "BaTiO3": MaterialData("perovskite", ("Ba", "Ti", "O"), 4.0118),
    "LaAlO3": MaterialData("perovskite", ("La", "Al", "O"), 3.818),
    "CeO2": MaterialData("fluorite", ("Ce", "O"), 5.4110),
    "ZrO2": MaterialData("fluorite", ("Zr", "O"), 5.07),
    "CaF2": MaterialData("fluorite", ("Ca", "F"), 5.4630),
    "MgAl2O4": MaterialData("spinel", ("Mg", "Al", "O"), 8.083, free=0.2624),
    "Fe3O4": MaterialData("spinel", ("Fe", "Fe", "O"), 8.3941, free=0.2549),
    "Co3O4": MaterialData("spinel", ("Co", "Co", "O"), 8.084, free=0.263),
    "TiO2": MaterialData("rutile", ("Ti", "O"), 4.5937, 2.9587, 0.3048),
    "SnO2": MaterialData("rutile", ("Sn", "O"), 4.7374, 3.1864, 0.3056),
    "graphene": MaterialData("graphite", ("C", "C"), 2.456, 6.696),
    "BN": MaterialData("boron nitride", ("B", "N"), 2.504, 6.661),
    "MoS2": MaterialData("2H", ("Mo", "S"), 3.1604, 12.295, 0.621),
    "WS2": MaterialData("2H", ("W", "S"), 3.1532, 12.323, 0.6225),
    "WSe2": MaterialData("2H", ("W", "Se"), 3.282, 12.96, 0.6211),
    "TiS2": MaterialData("1T", ("Ti", "S"), 3.4073, 5.6953, 0.2501),
    "SnS2": MaterialData("1T", ("Sn", "S"), 3.638, 5.880, 0.25),
    "LTA": MaterialData("LTA", ("Si", "O", "O", "O"), 11.8671),
    "MFI": MaterialData("MFI", ("Si",) * 12 + ("O",) * 26, 20.022, 13.383, b=19.899),
}

# Surface energies of planes, J/m²: Vitos et al., Surf. Sci. 411 (1998) 186, Table 1.
SURFACE_ENERGIES: dict[str, dict[Miller, float]] = {
    "Al": {(1, 1, 1): 1.199, (1, 0, 0): 1.347, (1, 1, 0): 1.271},
    "Ni": {(1, 1, 1): 2.011, (1, 0, 0): 2.426, (1, 1, 0): 2.368},
    "Cu": {(1, 1, 1): 1.952, (1, 0, 0): 2.166, (1, 1, 0): 2.237},
    "Pd": {(1, 1, 1): 1.920, (1, 0, 0): 2.326, (1, 1, 0): 2.225},
    "Ag": {(1, 1, 1): 1.172, (1, 0, 0): 1.200, (1, 1, 0): 1.238},
    "Pt": {(1, 1, 1): 2.299, (1, 0, 0): 2.734, (1, 1, 0): 2.819},
    "Au": {(1, 1, 1): 1.283, (1, 0, 0): 1.627, (1, 1, 0): 1.700},
}
