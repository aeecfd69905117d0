"""What `make` does, on any system: ``python tasks.py TASK``, with Python 3.11 or newer and nothing else.

Tasks: setup, demo, format, lint, test, tests, test-slow, coverage, docs, bench, bench-quick, all in the virtual
environment .venv, which setup makes; every other task sets up first.  The environment variable WORKERS says how many
processes run tests.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from shutil import which

ROOT = Path(__file__).parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if sys.platform == "win32" else "bin")
PYTHON = BIN / ("python.exe" if sys.platform == "win32" else "python")
REQUIRED = (ROOT / "pyproject.toml", ROOT / "constraints.txt")

# What a change must pass before its tests.  That the names in the manifest can be imported is a test.
LINT = (
    ("ruff", "check"),
    ("ruff", "format", "--check"),
    ("mypy",),
    ("lint-imports",),
    ("deptry", "src"),
    ("npe2", "validate", "napari-gandenoise"),
)


def run(*words: str, **environment: str) -> None:
    """Run a program of the environment; if it fails, so does the task."""
    program = which(words[0], path=str(BIN)) or words[0]
    command = [program, *words[1:]]
    ended = subprocess.run(command, cwd=ROOT, env={**os.environ, **environment}, check=False)
    if ended.returncode:
        sys.exit(f"{' '.join(words)}: exit code {ended.returncode}")


def install(stamp: str, *words: str) -> None:
    """Install into the environment, unless that was done since the requirements changed."""
    done = VENV / stamp
    if done.exists() and all(done.stat().st_mtime >= file.stat().st_mtime for file in REQUIRED):
        return
    run("python", "-m", "pip", "install", "--quiet", "-c", "constraints.txt", *words)
    done.touch()


def setup() -> None:
    """Make the environment with everything, tools included."""
    if not PYTHON.exists():
        run(sys.executable, "-m", "venv", str(VENV))
        run("python", "-m", "pip", "install", "--quiet", "--upgrade", "pip>=25.1")
    install(".installed", "-e", ".[all]", "--group", "dev")


def demo() -> None:
    """Do the main job without a window, in demo/."""
    run("python", "-m", "benchmarks.demo")


def format_() -> None:
    """Put right what of style can be put right by itself."""
    run("ruff", "check", "--fix")
    run("ruff", "format")


def lint() -> None:
    """Check style, types, imports, dependencies and the manifest."""
    for words in LINT:
        run(*words)


def run_tests(
    kind: str,
    alone: tuple[str, ...] = (),
    shared: tuple[str, ...] = (),
    *,
    before_others: Callable[[], object] = lambda: None,
) -> None:
    """Run tests of a kind: those that measure time by themselves, then the others, a process a core."""
    screen = {}
    if sys.platform == "linux":  # each process on a screen of its own (pytest-xvfb), since a screen has one clipboard
        shown = {"LIBGL_ALWAYS_SOFTWARE": "1", "QT_QPA_PLATFORM": "xcb"}
        screen = shown if which("Xvfb") else {"QT_QPA_PLATFORM": "offscreen"}
    # The processes that tests begin need not compile again what others have compiled.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    pytest = ("python", "-m", "pytest", "-m")
    parallel = (f"--numprocesses={os.environ.get('WORKERS', 2)}", "--dist=loadfile", "--no-loadscope-reorder")
    run(*pytest, f"{kind} and serial", "--quiet", *alone, **screen, OMP_NUM_THREADS="1")
    before_others()
    run(*pytest, f"{kind} and not serial", *parallel, *shared, **screen, OMP_NUM_THREADS="1")


def tests() -> None:
    """Run the fast tests."""
    run_tests("not slow")


def test() -> None:
    """Check and test: everything a change must pass.  Types and style are checked beside the tests that may wait."""
    checked: list[subprocess.Popen[str]] = []

    def check() -> None:
        command = [sys.executable, __file__, "lint"]
        checked.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))

    try:
        run_tests("not slow", before_others=check)
    finally:
        for process in checked:
            sys.stdout.write(process.communicate()[0])
    if checked[0].returncode:
        sys.exit("lint: see above")


def test_slow() -> None:
    """Run the tests that take longer."""
    run_tests("slow")


def coverage() -> None:
    """Run the fast tests, and tell which lines and branches they do not run."""
    run_tests("not slow", ("--cov", "--cov-report="), ("--cov", "--cov-append"))


def docs() -> None:
    """Build the documentation in docs/_build."""
    install(".docs-installed", "--group", "docs")
    run("sphinx-build", "-W", "--keep-going", "-b", "html", "docs", "docs/_build")


def bench(*words: str) -> None:
    """Draw the benchmark tables; real viewers open, on a virtual screen where there is one."""
    command, environment = ("python", "-m", "benchmarks.run", *words), {}
    if which("xvfb-run"):
        command = ("xvfb-run", "-a", "-s", "-screen 0 1600x1200x24", str(PYTHON), *command[1:])
        environment = {"LIBGL_ALWAYS_SOFTWARE": "1", "QT_QPA_PLATFORM": "xcb"}
    elif sys.platform == "linux":
        environment = {"QT_QPA_PLATFORM": "offscreen"}
    run(*command, **environment)


TASKS: dict[str, Callable[[], None]] = {
    "setup": setup,
    "demo": demo,
    "format": format_,
    "lint": lint,
    "test": test,
    "tests": tests,
    "test-slow": test_slow,
    "coverage": coverage,
    "docs": docs,
    "bench": bench,
    "bench-quick": lambda: bench("--quick"),
}


def main() -> None:
    """Do the task that is named."""
    match sys.argv[1:]:
        case [name] if name in TASKS:
            setup()
            TASKS[name]()
        case _:
            sys.exit(f"python tasks.py TASK, one of: {', '.join(TASKS)}")


if __name__ == "__main__":
    main()
