"""Source distributions and wheels: built from a copy of what git has, read, installed, compared with what they are made of."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT = 600  # seconds; a guard, not a measure
# no path to this checkout, and no settings of the user that change Python or pip
ENVIRONMENT = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "PIP_"))}
ENVIRONMENT |= {"PYTHONNOUSERSITE": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


def run(*command: str | Path, folder: Path, status: int = 0) -> subprocess.CompletedProcess[str]:
    """Run a program in ``folder``, without this checkout on its path; it must end with ``status``."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode == status, f"{command}: status {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def source_files() -> list[str]:
    """The files of this checkout, as git would commit them, or of this unpacked source distribution, by its own list."""
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    names = [name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]
    if "pyproject.toml" in names:  # not so where the unpacked distribution lies in a folder of another repository
        return names
    own = ROOT / "resdet.egg-info" / "SOURCES.txt"
    if not own.is_file():
        pytest.skip(f"{ROOT} is neither a git checkout nor a source distribution: its files are not known")
    return [name for name in own.read_text(encoding="utf-8").splitlines() if not name.startswith("resdet.egg-info/")]


def copy_sources(folder: Path) -> Path:
    """Copy this checkout to ``folder``, so that building leaves nothing behind here."""
    for name in source_files():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    return folder


def build(kind: str, sources: Path) -> Path:
    """Build the ``sdist`` or the ``wheel`` of ``sources`` as pip does, with the environment's setuptools; its path."""
    output = sources / "dist"
    output.mkdir(exist_ok=True)
    program = f"import setuptools.build_meta as backend; print('made', backend.build_{kind}({str(output)!r}))"
    done = run(sys.executable, "-c", program, folder=sources)
    return output / done.stdout.splitlines()[-1].removeprefix("made ")


def names_in(archive: Path) -> list[str]:
    """The files of a wheel, or those of a source distribution below its one folder."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            return wheel.namelist()
    with tarfile.open(archive) as sdist:
        return [member.name.partition("/")[2] for member in sdist.getmembers() if member.isfile()]


def unpack(sdist: Path, folder: Path) -> Path:
    """Unpack a source distribution into ``folder``; the folder that it holds."""
    shutil.unpack_archive(sdist, folder)
    (unpacked,) = folder.iterdir()
    return unpacked


def wheel_problems(names: Iterable[str], sources: Iterable[str]) -> list[str]:
    """What is wrong with the files of a wheel made of these sources: what is missing, and what has no place in it."""
    names = set(names)
    wanted = {name for name in sources if name.startswith("resdet/")}
    beside = [name for name in sources if name.startswith(("configs/", "benchmarks/"))]
    # the GPU's stages run the tests too: they are for checkouts
    wanted |= {f"resdet/{name}" for name in beside if not name.startswith(("benchmarks/gpu", "benchmarks/choices"))}
    (info,) = {name.partition("/")[0] for name in names if name.partition("/")[0].endswith(".dist-info")}
    wanted |= {f"{info}/{name}" for name in ("METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE")}
    return [
        *(f"missing: {name}" for name in sorted(wanted - names)),
        *(f"has no place: {name}" for name in sorted(names - wanted - {f"{info}/top_level.txt"})),
    ]


class Environment:
    """A new virtual environment, of the running Python or of another one.

    That of the running one sees its libraries, but not what is installed editable there.
    """

    def __init__(self, folder: Path, base: str = sys.executable) -> None:
        run(base, "-m", "venv", "--without-pip", folder, folder=folder.parent)
        self.programs = folder / ("Scripts" if os.name == "nt" else "bin")
        self.python = self.programs / "python"
        self.packages = Path(self.ask("sysconfig.get_path('purelib')"))
        if base == sys.executable:
            # a folder named in a .pth file is searched, but its own .pth files, hooks of editable installations, do not run
            folders = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
            folders |= {path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")}
            (self.packages / "libraries.pth").write_text("\n".join(sorted(folders)) + "\n")

    def ask(self, expression: str) -> str:
        """The value of an expression there."""
        return run(self.python, "-c", f"import sysconfig; print({expression})", folder=self.programs).stdout.strip()

    def install(self, *what: str | Path) -> None:
        """Install a wheel, or a folder, without its requirements, by the running environment's pip and nothing downloaded."""
        options = ("--quiet", "--no-deps", "--no-index", "--no-build-isolation")
        run(sys.executable, "-m", "pip", "--python", self.python, "install", *options, *what, folder=self.programs)

    def resdet(self, *arguments: str | Path, folder: Path, status: int = 0) -> subprocess.CompletedProcess[str]:
        """Run the installed command ``resdet`` in ``folder``."""
        return run(self.programs / "resdet", *arguments, folder=folder, status=status)
