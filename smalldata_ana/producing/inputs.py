"""The files and folders that a job was given, to do it again with them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

from smalldata_ana.errors import FileError

_ALTERNATIVES = (("params", "config"), ("xtc_dir", "files"))
"""Of each of these, one alone is given."""


@dataclass(frozen=True)
class Inputs:
    """What the options of the same names give; None for what is the experiment's own.

    Attributes
    ----------
    params, config : the parameters
    functions : own functions
    calib_dir : constants
    xtc_dir, files : the data of the run
    norecorder : True if the streams of recorders are left out
    """

    params: Path | None = None
    config: Path | None = None
    functions: Path | None = None
    calib_dir: Path | None = None
    xtc_dir: Path | None = None
    files: tuple[Path, ...] | None = None
    norecorder: bool = False

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Self:
        """Return what options give, by their names; others are of no interest."""
        return cls(**{f.name: _absolute(options[f.name]) for f in fields(cls)})

    @classmethod
    def read(cls, text: str) -> Self:
        """Return what `text` gave."""
        return cls.of(json.loads(text))

    def text(self) -> str:
        """Return it as text, which `read` reads."""
        files = None if self.files is None else list(map(str, self.files))
        return json.dumps({**vars(self), "files": files}, default=str)

    def beside(self, anew: Self) -> Self:
        """Return what is still to be used where other files and folders are given."""
        given = {name for name, value in vars(anew).items() if value}
        replaced = {n for pair in _ALTERNATIVES if given & {*pair} for n in pair}
        kept = vars(self).keys() - given - replaced
        return type(self)(**{name: getattr(self, name) for name in kept})

    def check(self, made: Path) -> None:
        """Check that all of it is still there.

        Parameters
        ----------
        made : the file that was made with it

        Raises
        ------
        FileError
            if something is not
        """
        for option, path in self._paths():
            if not path.exists():
                raise FileError(
                    f"{made} was made with {option} {path}, which is not there any "
                    f"more; give another {option}, or make the file without --stale"
                )

    def _paths(self) -> Iterator[tuple[str, Path]]:
        for name, value in vars(self).items():
            paths = value if isinstance(value, tuple) else (value,)
            option = f"--{name.replace('_', '-')}"
            yield from ((option, path) for path in paths if isinstance(path, Path))


NO_INPUTS = Inputs()
"""All as the experiment has it."""


def _absolute(value: Any) -> Any:
    """Return a value with the whole path of each file that it names."""
    if isinstance(value, str | Path):
        return Path(value).expanduser().absolute()
    return tuple(map(_absolute, value)) if isinstance(value, list) else value
