"""Where the session puts images, pictures and scripts, unless it is told."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from smalldata_ana.errors import FileError
from smalldata_ana.places import Places
from smalldata_ana.safe_files import make_folder


def output_folder(places: Places, folder: Path) -> Path:
    """Return a folder for output, made if need be, or else the working directory.

    The reason why it is the working directory is printed: the folder cannot be
    written, or it belongs to an experiment that has no folder here, which is not for
    a session to make.

    Parameters
    ----------
    places : of the experiment
    folder : one of its places, e.g. ``places.images``
    """
    root = places.root
    try:
        if root is not None and folder.is_relative_to(root) and not root.is_dir():
            raise FileError(f"{places.experiment} has no folder {root}")
        make_folder(folder)
        if not os.access(folder, os.W_OK):
            raise FileError(f"no permission to write in {folder}")
    except FileError as error:
        print(f"{error}; taking the working directory", file=sys.stderr)
        return Path.cwd()
    return folder
