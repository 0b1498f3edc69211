"""`Images`: the average images of a session by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from smalldata_ana.average_image import AverageImage, derived_name
from smalldata_ana.commands import table
from smalldata_ana.errors import NameNotFound, unknown

_COLUMNS = ("name", "shows", "events", "shape", "run")


class ImageNotFound(NameNotFound, KeyError):  # noqa: N818 (named as its family)
    """There is no average image of that name."""

    def __str__(self) -> str:
        return str(self.args[0])


class Images(Mapping[str, AverageImage]):
    """The average images of a session by name, the latest last.

    Beside ``AvImg_<rest>`` there are ``AvImg_std_<rest>``, ``AvImg_median_<rest>``,
    ``AvImg_max_<rest>`` and ``AvImg_hits_<rest>``, where they were asked for.
    """

    def __init__(self) -> None:
        self._images: dict[str, AverageImage] = {}

    def add(self, image: AverageImage) -> None:
        """Keep an image as the latest; it replaces one of the same name."""
        self._images.pop(image.name, None)
        self._images[image.name] = image

    def latest(self, detector: str | None = None) -> AverageImage | None:
        """Return the latest image, or None if there is none yet.

        Parameters
        ----------
        detector : only of this detector
        """
        matching = [
            image
            for image in self._images.values()
            if detector in (None, image.detector)
        ]
        return matching[-1] if matching else None

    def __getitem__(self, name: str) -> AverageImage:
        places = self._places()
        if name not in places:
            raise ImageNotFound(
                unknown("average image", name, places)
                if places
                else f"no average image {name!r}; make one first: AvImage()"
            )
        image, statistic = places[name]
        return image.of(statistic)

    def __iter__(self) -> Iterator[str]:
        return iter(self._places())

    def __len__(self) -> int:
        return len(self._places())

    def _places(self) -> dict[str, tuple[AverageImage, str]]:
        """Return for each name the image that has it, and which of its statistics."""
        return {
            image.name
            if statistic == image.statistic
            else derived_name(image.name, statistic): (image, statistic)
            for image in self._images.values()
            for statistic in image.statistics()
        }

    def _ipython_key_completions_(self) -> list[str]:
        return list(self)

    def __repr__(self) -> str:
        return f"<Images: {', '.join(self) or 'none yet'}>"

    def _rows(self) -> list[tuple[str, ...]]:
        return [
            (
                name,
                image.quantity,
                str(image.n_used),
                " x ".join(map(str, image.shape)),
                str(image.made["run"]),
            )
            for name, image in self.items()
        ]

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        rows = self._rows()
        printer.text(table(_COLUMNS, rows) if rows else repr(self))

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{name}</th>" for name in _COLUMNS)
        lines = (
            "".join(f"<td>{escape(cell)}</td>" for cell in row) for row in self._rows()
        )
        body = "".join(f"<tr>{line}</tr>" for line in lines)
        return f"<table><tr>{head}</tr>{body}</table>"
