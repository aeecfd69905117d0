"""What the documentation shows must work: Python runs, commands and YAML are understood, links lead somewhere."""

from __future__ import annotations

import importlib.util
import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import pytest
import typer
import yaml

from napari_gandenoise.cli import app
from napari_gandenoise.io import write_tiff
from napari_gandenoise.settings.batch import BatchConfig
from napari_gandenoise.settings.columns import ColumnsConfig
from napari_gandenoise.settings.compare import CompareConfig
from napari_gandenoise.settings.denoise import DenoiseConfig
from napari_gandenoise.settings.noise import PoissonGaussian
from napari_gandenoise.settings.recover import RecoverConfig
from napari_gandenoise.settings.restore import RestoreConfig
from napari_gandenoise.settings.simulate import SimulationConfig
from napari_gandenoise.settings.train import read_training
from napari_gandenoise.simulate.samples import sample_micrograph, sample_truth

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
PIECE = slice(500, 628), slice(500, 628)  # of the sample's particle
CONFIGS = {
    "batch": BatchConfig,
    "columns": ColumnsConfig,
    "compare": CompareConfig,
    "denoise": DenoiseConfig,
    "recover": RecoverConfig,
    "restore": RestoreConfig,
    "simulation": SimulationConfig,
    "train": lambda **fields: read_training(fields),
}


def blocks(page: Path, language: str) -> Iterator[tuple[int, str]]:
    """Code blocks of a page with the line each begins on."""
    text = page.read_text(encoding="utf-8")
    for found in re.finditer(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        yield text[: found.start(1)].count("\n"), found[1]


def with_blocks(language: str) -> list:
    return [pytest.param(page, id=str(page.relative_to(ROOT))) for page in PAGES if any(blocks(page, language))]


def shell_lines(page: Path) -> list[str]:
    return [line.strip() for _, block in blocks(page, "bash") for line in block.splitlines() if line.strip()]


@pytest.fixture
def files(tmp_path, monkeypatch, rng, write_photograph_model):
    """A folder with the files that the pages speak of, small."""
    monkeypatch.chdir(tmp_path)
    noisy, truth = sample_micrograph(), sample_truth()
    size, counts, rate = noisy.pixel_size_nm, noisy.pixels[PIECE], truth.pixels[PIECE]
    camera = PoissonGaussian(gain=2.1, offset=100, read_noise=3.2)
    write_tiff(Path("micrograph.tif"), counts, pixel_size_nm=size)
    write_tiff(Path("movie.tif"), rng.poisson(rate, (2, *rate.shape)), pixel_size_nm=size)
    write_tiff(Path("camera.tif"), camera.sample(rate, rng), pixel_size_nm=size)
    imageio.imwrite("photograph.png", rng.integers(0, 256, (40, 50, 3), dtype=np.uint8))
    write_photograph_model(tmp_path, "photographs")
    return counts, size


@pytest.fixture
def viewer(files):
    """A viewer with the micrograph as its active layer."""
    from napari.components import ViewerModel

    counts, size = files
    viewer = ViewerModel()
    viewer.add_image(counts, name="noisy", scale=(size, size), units=("nm", "nm"))
    return viewer


@pytest.mark.parametrize("page", with_blocks("python"))
def test_python_runs_and_prints_what_its_comments_say(page, viewer, capsys):
    names = {"viewer": viewer}
    for line, code in blocks(page, "python"):
        exec(compile("\n" * line + code, str(page), "exec"), names)
        printed = capsys.readouterr().out
        for said in re.findall(r"print\(.*\)  # (.*)", code):
            assert said in printed


@pytest.mark.parametrize("page", with_blocks("bash"))
def test_commands_are_understood(page):
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    for line in shell_lines(page):
        match shlex.split(line, comments=True):
            case ["napari-gandenoise", *words]:
                command = typer.main.get_command(app)
                while hasattr(command, "commands"):
                    command = command.commands[words.pop(0)]
                command.make_context("napari-gandenoise", words)  # complains about what it does not know
            case ["make", target]:
                assert target in targets
            case ["python", "-m", module, *_]:
                assert importlib.util.find_spec(module), line
            case ["python", script]:
                assert (ROOT / script).is_file(), line


@pytest.mark.parametrize("page", with_blocks("yaml"))
def test_yaml_is_valid(page):
    for _, text in blocks(page, "yaml"):
        config = CONFIGS[re.match(r"# (\w+)\.yaml", text)[1]]
        config(**yaml.safe_load(text))


def test_every_page_with_code_is_among_the_tested_ones():
    """Guards the pattern that finds the blocks."""
    fences = sum(page.read_text(encoding="utf-8").count("```python\n") for page in PAGES)
    assert fences == sum(1 for page in PAGES for _ in blocks(page, "python")) > 10


@pytest.mark.parametrize("page", [ROOT / "README.md", ROOT / "CONTRIBUTING.md"], ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    """Sphinx checks those of its own pages."""
    links = re.findall(r"\]\(((?!https?:)[^)#]+)", page.read_text(encoding="utf-8"))
    written_by_bench = "benchmarks/RESULTS.md"
    missing = [link for link in links if link != written_by_bench and not (page.parent / link).exists()]
    assert not missing


def test_the_architecture_describes_every_room():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers = project["tool"]["importlinter"]["contracts"][0]["layers"]
    rooms = {room.strip() for layer in layers for room in layer.split("|")}
    page = (ROOT / "docs" / "ARCHITECTURE.md").read_text(encoding="utf-8")
    assert {room for room in rooms if f"| `{room}` |" not in page} == set()


def test_the_reference_lists_what_the_manifest_offers():
    manifest = yaml.safe_load((ROOT / "napari.yaml").read_text(encoding="utf-8"))["contributions"]
    page = (ROOT / "docs" / "reference" / "commands.md").read_text(encoding="utf-8")
    offered = [command["id"] for command in manifest["commands"]]
    offered += [sample["display_name"] for sample in manifest["sample_data"]]
    assert [name for name in offered if name not in page] == []


def test_what_the_reference_documents_is_there():
    """Sphinx would say so, too, but takes longer."""
    wanted, module = [], "napari_gandenoise"
    for page in (ROOT / "docs" / "reference").glob("*.md"):
        for kind, name in re.findall(
            r"\.\. (currentmodule|autofunction|autoclass):: ([\w.]+)", page.read_text("utf-8")
        ):
            if kind == "currentmodule":
                module = name
            else:
                wanted.append(name if name.startswith("napari_gandenoise.") else f"{module}.{name}")
    assert len(wanted) > 40
    for name in wanted:
        room, _, own = name.rpartition(".")
        assert hasattr(importlib.import_module(room), own), name
    tables = [found for page in PAGES for found in re.findall(r"{config-fields} (\S+):(\w+)", page.read_text("utf-8"))]
    for module, name in tables:
        assert hasattr(
            importlib.import_module(module if "." in module else f"napari_gandenoise.settings.{module}"), name
        )
