"""The commands that make masks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from smalldata_ana.detector.mask_selections import SIGMA, SUSPICIONS, Suspicious
from smalldata_ana.detector.mask_shapes import MissingValueError
from smalldata_ana.session.in_image import average_of
from smalldata_ana.session.prompts import somebody_there
from smalldata_ana.session.state import SessionState

if TYPE_CHECKING:
    from smalldata_ana.detector.image_masks import MaskLike
    from smalldata_ana.session.in_image import InImage
    from smalldata_ana.session.tools.layers import ShapeLike
    from smalldata_ana.session.tools.mask import MaskTool


class MaskCommands(SessionState):
    """`MakeMask`, `suggestMask`."""

    def MakeMask(
        self,
        detname: str | None = None,
        limits: tuple[float, float] | None = None,
        singleTile: int = -1,
        extMask: MaskLike | None = None,
        *,
        shapes: Sequence[ShapeLike] | None = None,
        inImage: InImage | None = None,
    ) -> MaskTool:
        """Make a mask of a detector; nothing is taken before ``.accept()``.

        What the shapes select is masked: it will not be used.  With `shapes` or
        `extMask`, nobody is asked and no window opens.  Otherwise the latest average
        image is shown, and at a terminal the shapes are asked for; ``?`` lists them.

        Parameters
        ----------
        detname : name of the detector; asked for where there are several
        limits : colour limits of the picture [percentiles]
        singleTile : number of the only panel to draw on; -1 for the whole detector
        extMask : a mask to begin with: bool, True = good, or 0 and 1, 1 = good, in the
            shape of a frame or of the assembled image
        shapes : e.g. ``[{"shape": "circle", "center": [500, 510], "radius": 40}]``;
            coordinates are row and column of the assembled image, with
            ``"unit": "um"`` x and y, with ``"panel": n`` row and column of a panel

        inImage : the image to draw on; by default the latest of the detector

        Returns
        -------
        A tool with ``.add(shape)``, ``.remove(n)``, ``.switch(n)``, ``.invert()``,
        ``.undo()``, ``.redo()``, ``.reset()``, ``.suggest('hot')``, ``.load(file)``,
        ``.combine(mask)``, ``.draw('polygon')``; ``.good``, ``.counts``, ``.shapes``;
        ``.save(file)``, ``.to_store(begin, end)`` and ``.accept(name=None)``.

        Examples
        --------
        >>> mask = anaps.MakeMask(
        ...     "jungfrau1M", shapes=[{"shape": "edges", "rows": 2, "columns": 2}]
        ... )  # doctest: +SKIP
        >>> mask.add(
        ...     {"shape": "donut", "center": [512, 530], "radius": 40, "inner": 5}
        ... )  # doctest: +SKIP
        >>> mask.accept()  # doctest: +SKIP
        """
        given = shapes is not None or extMask is not None
        tool = self._mask_tool(detname, inImage, shapes or (), singleTile)
        if extMask is not None:
            tool.combine(extMask, label="extMask")
        if given:
            return tool
        self._show_mask(tool, limits)
        if self.interactive and somebody_there():
            self._talk_of_mask(tool)
        return tool

    def suggestMask(
        self,
        detname: str | None = None,
        what: Sequence[str] = SUSPICIONS,
        sigma: float = SIGMA,
        *,
        plot: bool = True,
        inImage: InImage | None = None,
    ) -> MaskTool:
        """Suggest a mask of pixels that do not behave as the others; see it first.

        Pixels that the detector's ``cmask`` leaves out anyhow are not suggested.

        Parameters
        ----------
        detname : name of the detector; asked for where there are several
        what : ``'hot'`` (in the average image far above the pixels around),
            ``'noisy'`` and ``'dead'`` (noise far above or below that of the panel)
        sigma : what far is, in standard deviations
        plot : show them
        inImage : the image to look at; by default the latest of the detector

        Returns
        -------
        A tool as that of `MakeMask`, with a layer for each of them; nothing is taken
        before ``.accept()``.  ``.switch(0)`` switches the first one off.

        Examples
        --------
        >>> mask = anaps.suggestMask("epix100", ["hot"], sigma=10)  # doctest: +SKIP
        >>> mask.accept("hot")  # doctest: +SKIP
        """
        tool = self._mask_tool(detname, inImage)
        for word in [what] if isinstance(what, str) else what:
            try:
                tool.add({"shape": Suspicious.kind, "what": word, "sigma": sigma})
            except MissingValueError as error:
                print(f"no {word} pixels are suggested: {error}")
        print(tool.summary())
        if plot:
            self._show_mask(tool)
        return tool

    def _mask_tool(
        self,
        detname: str | None,
        inImage: InImage | None,
        shapes: Sequence[ShapeLike] = (),
        singleTile: int = -1,
    ) -> MaskTool:
        from smalldata_ana.session.tools.mask import MaskTool

        if inImage is None:
            detector = self.pick_detector(detname)
            average = self.images.latest(detector)
        else:
            average = average_of(self, inImage, detname)
            detector = average.detector
        panel = None if singleTile == -1 else singleTile
        return MaskTool(self, detector, average, shapes, panel=panel)

    def _show_mask(
        self, tool: MaskTool, limits: tuple[float, float] | None = None
    ) -> None:
        from smalldata_ana.session.tools.canvas import ToolFigure
        from smalldata_ana.session.tools.mask_picture import MaskPicture
        from smalldata_ana.session.tools.mask_scene import panel_image

        average, panel = tool.average, tool.panel
        if average is None:
            print(
                f"no average image of {tool.detector!r} to draw on: AvImage() makes one"
            )
            return
        shown = average if panel is None else panel_image(average, panel)
        title = f"MakeMask_{tool.detector}"
        figure = ToolFigure(shown, self.display, title, limits)
        tool.picture = MaskPicture(tool, figure)

    def _talk_of_mask(self, tool: MaskTool) -> None:
        from smalldata_ana.session.tools.dialogue import Dialogue
        from smalldata_ana.session.tools.mask_talk import MaskTalk

        windows = False
        if tool.picture is not None:
            self.pictures.write_now(tool.picture.figure)
            windows = tool.picture.figure.has_window
        MaskTalk(tool, Dialogue(), windows=windows).hold()
