"""How does the merchant's folder lie on disk, and where does a new one come from?"""

from collections.abc import Iterator
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from aftersale.kernel.errors import Refusal
from aftersale.programme.load import PAUSED, is_known

LARGEST_FILE = 2_000_000
_STARTER = "aftersale.programme"


def read_folder(path: Path) -> dict[str, str]:
    """Path inside the folder → text, of every file that belongs to a programme.

    `Refusal` for a folder that is none, a file over 2 MB or one that is not UTF-8. Pauses are
    kept with the deployments, not in the folder.
    """
    if not path.is_dir():
        raise Refusal(f"there is no folder {path}", hint="aftersale init makes one")
    files = {}
    candidates = [*path.glob("*"), *path.glob("journeys/*"), *path.glob("templates/*")]
    for file in sorted(candidates):
        name = file.relative_to(path).as_posix()
        if name != PAUSED and file.is_file() and (is_known(name) or name.endswith(".yml")):
            files[name] = _text(file, name)
    if not any(name.startswith("journeys/") for name in files):
        raise Refusal(
            f"{path} holds no journeys",
            why="a programme has its journeys in journeys/*.yaml",
            hint="aftersale init writes a starter programme",
        )
    return files


def _text(file: Path, name: str) -> str:
    try:
        with file.open("rb") as opened:
            data = opened.read(LARGEST_FILE + 1)
    except OSError as error:
        raise Refusal(f"{name} cannot be read", why=error.strerror or str(error)) from None
    if len(data) > LARGEST_FILE:
        raise Refusal(f"{name} is larger than {LARGEST_FILE // 1_000_000} MB")
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise Refusal(
            f"{name} is not UTF-8", where=f"{name}:{line}", hint="save it again as UTF-8"
        ) from None


def starter_files() -> dict[str, str]:
    """Every file of the starter programme: path inside the folder → text."""
    return dict(_below(resources.files(_STARTER) / "starter", ""))


def _below(folder: Traversable, prefix: str) -> Iterator[tuple[str, str]]:
    for item in sorted(folder.iterdir(), key=lambda item: item.name):
        if item.is_dir():
            yield from _below(item, f"{prefix}{item.name}/")
        else:
            yield f"{prefix}{item.name}", item.read_text(encoding="utf-8")


def write_starter(path: Path, *, overwrite: bool = False) -> list[str]:
    """Write the starter programme into a folder; the paths written.

    `Refusal` before anything is written where one of the files exists, unless `overwrite`.
    """
    files = starter_files()
    present = [name for name in files if (path / name).exists()]
    if present and not overwrite:
        raise Refusal(
            f"{path} already has {present[0]}",
            why=f"{len(present)} files would be overwritten",
            hint="choose an empty folder, or say that they may be overwritten",
        )
    for name, text in files.items():
        target = path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8", newline="\n")
    return sorted(files)
