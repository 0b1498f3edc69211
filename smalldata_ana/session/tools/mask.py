"""`MaskTool`: make a mask of a detector from shapes, masks of files, and statistics."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from smalldata_ana.average_image import AverageImage
from smalldata_ana.detector.mask_entries import mask_entry
from smalldata_ana.detector.mask_exchange import (
    Drawing,
    Polarity,
    frame_mask,
    load_mask,
    save_mask,
)
from smalldata_ana.detector.mask_files import FilePath
from smalldata_ana.detector.mask_selections import SIGMA, Pixels, Suspicious
from smalldata_ana.errors import UsageError, counted
from smalldata_ana.parameters.entry import Entry
from smalldata_ana.parameters.run_range import RunRange
from smalldata_ana.session.made_on_image import made_on_image
from smalldata_ana.session.tools.free_names import free_name
from smalldata_ana.session.tools.layers import LayerTool, ShapeLike
from smalldata_ana.session.tools.mask_scene import check_panel, scene_of
from smalldata_ana.session.tools.mask_store import put_user_mask

if TYPE_CHECKING:
    from smalldata_ana.detector.image_masks import MaskLike
    from smalldata_ana.session.tools.mask_picture import MaskPicture

_MOST = 0.5
"""Share of the good pixels that a mask leaves out without a warning."""

_log = logging.getLogger(__name__)


class MaskTool(LayerTool):
    """A mask that is being made of layers; nothing is taken before `accept`.

    What the layers select together is masked, the rest is good.

    Parameters
    ----------
    session : the session: its run, places and pending entries
    detector : name of an area detector of the run
    average : the average image that it is drawn on, or None
    shapes : the layers to begin with
    panel : number of the only panel to draw on, or None for the whole detector

    Attributes
    ----------
    scene : what the shapes are drawn on
    picture : the window that shows it, or None

    Raises
    ------
    DetectorNotFound
        if the run has no such area detector
    ParameterError
        if a shape makes no sense for the detector
    """

    kind = "mask"

    def __init__(
        self,
        session: Any,
        detector: str,
        average: AverageImage | None = None,
        shapes: Iterable[ShapeLike] = (),
        *,
        panel: int | None = None,
    ) -> None:
        self.session = session
        self.detector = detector
        self.average = average
        self.panel = panel
        self.picture: MaskPicture | None = None
        self._accepted: Entry | None = None
        scene = scene_of(session.run, detector, average)
        check_panel(scene, panel)
        super().__init__(scene, shapes)
        session.tools.add(self)

    def suggest(self, what: str, sigma: float = SIGMA) -> int:
        """Return how many pixels a layer of suspicious ones would select anew.

        Where there is a picture, they are shown in it.  To take them, add the layer::

            mask.add({"shape": "suspicious", "what": "hot", "sigma": 8})

        Parameters
        ----------
        what : ``hot``, ``noisy`` or ``dead``
        sigma : how far they are from the others, in standard deviations

        Raises
        ------
        ParameterError
            if there is no such word, or what it needs: an image, or the noise
        """
        found = self._render(Suspicious(what, sigma)) & self.good
        if self.picture is not None:
            self.picture.suggest(found)
        return int(np.count_nonzero(found))

    def combine(
        self, mask: MaskLike, of: Drawing | None = None, label: str = ""
    ) -> None:
        """Mask what another mask leaves out, too.

        Parameters
        ----------
        mask : bool, True = good; or 0 and 1, 1 = good; shape of a frame or of the
            assembled image
        of : ``'frame'`` or ``'image'``, where the shape does not tell it
        label : a remark

        Raises
        ------
        ParameterError
            if it is no mask of this detector
        """
        given: Any = np.asarray(mask)
        good = frame_mask(given, self.scene.geometry, of)
        self.add(Pixels.of_mask(good, label=label))

    def load(
        self,
        path: FilePath,
        good: Polarity | None = None,
        of: Drawing | None = None,
        name: str | None = None,
    ) -> None:
        """Mask what the mask of a file leaves out, too.

        Parameters
        ----------
        path : ``.data`` or ``.txt`` (psana), ``.npy``, ``.h5`` (NeXus), ``.edf``
            (pyFAI, silx)
        good : what a good pixel is in an ``.npy`` file of another program, 0 or 1; the
            others say it
        of : ``'frame'`` or ``'image'``, where the shape of the array does not tell it
        name : of the data set in an HDF5 file with several

        Raises
        ------
        ParameterError
            if the format is unknown, or it is not known what the numbers mean
        FileError
            if the file cannot be read, or holds no mask of this detector
        """
        scene, path = self.scene, Path(path).expanduser()
        found = load_mask(path, scene.geometry, scene.kind, good=good, of=of, name=name)
        self.add(Pixels.of_mask(found, label=path.name))

    # -- results -----------------------------------------------------------------------

    def save(self, path: FilePath, good: Polarity = 1, of: Drawing = "frame") -> Path:
        """Write the mask into a file, in the format that its suffix says.

        Parameters
        ----------
        path : ``.data`` or ``.txt`` (psana, 1 = good), ``.npy``, ``.h5`` (NeXus,
            0 = good), ``.edf`` (pyFAI and silx, the image, 1 = masked)
        good : what a good pixel is in an ``.npy`` file, 0 or 1
        of : write the mask of a ``'frame'``, or of the assembled ``'image'``

        Returns
        -------
        The file.

        Raises
        ------
        ParameterError
            if the format is unknown
        FileError
            if the file cannot be written
        """
        scene, target = self.scene, Path(path).expanduser()
        call = f"{self.scripted()}.save({str(target)!r}, good={good!r}, of={of!r})"
        with self.session.record.step(call):
            save_mask(
                target,
                self.good,
                scene.geometry,
                scene.kind,
                self.detector,
                good=good,
                of=of,
            )
        self.session.tools.keep(self)
        return target

    def to_store(
        self, begin: int | None = None, end: int | None = None, *, keep: bool = True
    ) -> Path:
        """Put the mask into the constants store, as the user mask of these runs.

        It is then part of the detector's ``cmask``, without any parameter file.

        Parameters
        ----------
        begin : first run that it is for; by default this one
        end : last run that it is for; by default until further notice
        keep : mask also what the mask leaves out that this run has from its constants

        Returns
        -------
        The file in the store.

        Raises
        ------
        ParameterError
            if no pixel is left
        ConstantsError
            if the range is empty
        FileError
            if the file cannot be written
        """
        self._warn()
        runs = f"begin={begin!r}, end={end!r}, keep={keep!r}"
        with self.session.record.step(f"{self.scripted()}.to_store({runs})"):
            path = put_user_mask(self, begin, end, keep=keep)
        self.session.tools.keep(self)
        return path

    def accept(self, name: str | None = None) -> Entry:
        """Take the mask: it becomes an entry that `exportParams` will write.

        Parameters
        ----------
        name : what it is called; a mask of the same name is replaced.  By default the
            one that this mask had before, or the first free of ``mask``, ``mask_1``, …

        Raises
        ------
        UsageError
            if nothing is masked, or everything is
        ParameterError
            if the name cannot be one
        """
        good = self.good
        if good.all() or not good.any():
            what = "nothing" if good.all() else "every pixel"
            raise UsageError(f"{what} is masked; add a shape, or undo(), and try again")
        self._warn()
        entry = mask_entry(
            self.detector,
            good,
            RunRange(self.session.run.number),
            name=name or self._name_again() or self._free_name(),
            shapes=self.shapes,
            made=self.provenance(),
        )
        entry = replace(entry, automatic=not name and self._is_named_later())
        self.session.take(entry, self)
        self._accepted = entry
        return entry

    def _name_again(self) -> str:
        """Return the name that the mask had when it was accepted before, if it was."""
        before = self._accepted
        return "" if before is None else self.session.accepted.name_of(before)

    def _is_named_later(self) -> bool:
        """Tell whether nobody chose a name yet, and none is in the file."""
        before = self._accepted
        if before is None:
            return True
        return before.automatic and any(e is before for e in self.session.pending)

    def warning(self) -> str:
        """Return that most of the good pixels are masked, or an empty text."""
        of_good = self.selected[self.scene.good]
        share = np.count_nonzero(of_good) / max(of_good.size, 1)
        if share <= _MOST:
            return ""
        return f"this masks {_percent(share)} of the good pixels of {self.detector!r}"

    def _warn(self) -> None:
        warning = self.warning()
        if warning:
            _log.warning("%s; .invert() exchanges what is masked and what not", warning)

    def _free_name(self) -> str:
        more = (f"mask_{number}" for number in itertools.count(1))
        return free_name(self.session, self.detector, itertools.chain(["mask"], more))

    def provenance(self) -> dict[str, Any]:
        """Return who made the mask, when, and on which image."""
        return made_on_image("MakeMask", self.session, self.average)

    def scripted(self) -> str:
        """Return the command that makes the same mask without a mouse."""
        return f"anaps.MakeMask({self.detector!r}, shapes={self.shapes!r})"

    # -- to be seen --------------------------------------------------------------------

    def draw(self, shape: str, **options: Any) -> None:
        """Draw a shape with the mouse; it is a layer at once, and can be moved.

        Parameters
        ----------
        shape : ``rectangle``, ``circle``, ``donut`` (a click inside of the circle gives
            the inner radius), ``ellipse``, ``polygon`` or ``brush``
        options : attributes of the shape: ``erase=True``, ``invert=True``, ``width=…``

        Raises
        ------
        UsageError
            if there is no window, or no such shape
        """
        if self.picture is None:
            raise UsageError("there is no window to draw in; use add() with numbers")
        self.picture.draw(shape, **options)

    def changed(self) -> None:
        """Show the mask anew."""
        if self.picture is not None:
            self.picture.show()

    def file_name(self) -> str:
        """Return how a file with the mask is called, as in smalldata_tools."""
        run = self.session.run
        what = self.detector if self.average is None else self.average.name
        return f"Mask_{what}_{run.experiment}_Run{run.number:03d}.data"

    def __repr__(self) -> str:
        layers = counted(len(self.layers), "layer")
        return f"<MaskTool: {self.detector}, {layers}, {self.total()}>"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(f"MaskTool: {self.detector}\n{self.summary()}")


def _percent(share: float) -> str:
    """Return a share as text; only all of it is 100 %."""
    below = "99.99" if 0.99995 <= share < 1 else f"{100 * share:.4g}"
    return f"{below} %"
