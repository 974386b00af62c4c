"""How does a file come to be there whole or not at all, also when the power fails?"""

import os
from pathlib import Path


def appear(partial: Path, target: Path) -> None:
    """Give a complete file its name, so that a crash leaves the old one or the new one."""
    _to_disk(partial)
    partial.replace(target)
    _to_disk(target.parent)


def _to_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
