"""The commands that find the beam centre from rings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from smalldata_ana.errors import ParameterError
from smalldata_ana.session.in_image import average_of
from smalldata_ana.session.mask_choice import MaskChoice
from smalldata_ana.session.state import SessionState

if TYPE_CHECKING:
    from smalldata_ana.session.in_image import InImage
    from smalldata_ana.session.tools.ring import RingTool

_FEW = 0.5
"""Share of good pixels below which a mask may be upside down."""


class CenterCommands(SessionState):
    """`FitCircle`, its ways Mouse, Threshold and Auto, and `centerFromAzimuth`."""

    def FitCircle(
        self,
        detname: str | None = None,
        use_mouse: bool | None = None,
        use_mask: bool = True,
        use_mask_local: bool = False,
        plotIt: bool = True,
        thresIn: float | None = None,
        limits: tuple[float, float] | None = None,
        singleTile: int = -1,
        *,
        points: Sequence[Any] | None = None,
        ring: Sequence[float] | None = None,
        inImage: InImage | None = None,
    ) -> RingTool:
        """Fit the beam centre to a ring: to points on it, or to its bright pixels.

        Nothing is taken before ``.accept()``.

        Parameters
        ----------
        detname : name of the detector; asked for where there are several
        use_mouse : True to click points, False to take bright pixels; asked for where
            somebody can be asked
        use_mask : leave out bad pixels
        use_mask_local : leave out also those of masks that were made in this session
        plotIt : show the result
        thresIn : take pixels above this percentile, without asking
        limits : colour limits of the picture [percentiles]; by default
            ``Display.limits``
        singleTile : number of the only panel to be used; -1: all
        points : row and column of points in the assembled image [px], without asking;
            or for each of several rings a list of points
        ring : row, column and radius of a ring that is right as it is [px]
        inImage : fit this image instead of the latest: an average, an array, or a
            table with 'image' and 'mask'

        Returns
        -------
        A tool with ``.value`` (``.center_um``, ``.center_px``, ``.radius_um``,
        ``.radius_px``, ``.…_err``, ``.quality``), ``.add_point(row, column)``,
        ``.undo()``, ``.redo()``, ``.reset()`` and ``.accept()``.

        Examples
        --------
        >>> ring = anaps.FitCircle(
        ...     "jungfrau1M", points=[[310, 200], [150, 420], [520, 480]]
        ... )  # doctest: +SKIP
        >>> ring.accept()  # doctest: +SKIP
        """
        from smalldata_ana.session.beam_questions import dialogue_of
        from smalldata_ana.session.tools.ring_dialogue import pick_ring

        tool = self._ring_tool(
            inImage, detname, MaskChoice(use_mask, use_mask_local, singleTile)
        )
        if points is not None:
            tool.fit_points(points)
        elif ring is not None:
            tool.place(*_row_column_radius(ring))
        elif thresIn is not None:
            tool.fit_threshold(thresIn)
        elif use_mouse is False and dialogue_of(self) is None:
            tool.fit_threshold()
        else:
            return pick_ring(self, tool, use_mouse, limits)
        return self._shown(tool, plotIt, limits)

    def FitCircleMouse(
        self,
        detname: str | None = None,
        use_mask: bool = True,
        limits: tuple[float, float] | None = None,
        use_mask_local: bool = False,
        *,
        points: Sequence[Any] | None = None,
        inImage: InImage | None = None,
    ) -> RingTool:
        """Fit the beam centre to points that are clicked on a ring.

        Parameters
        ----------
        detname, use_mask, limits, use_mask_local, points, inImage : as in `FitCircle`

        Examples
        --------
        >>> anaps.FitCircleMouse("jungfrau1M")  # doctest: +SKIP
        """
        return self.FitCircle(
            detname,
            use_mouse=True,
            use_mask=use_mask,
            use_mask_local=use_mask_local,
            limits=limits,
            points=points,
            inImage=inImage,
        )

    def FitCircleThreshold(
        self,
        detname: str | None = None,
        use_mask: bool = True,
        use_mask_local: bool = False,
        limits: tuple[float, float] | None = None,
        plotIt: bool = False,
        thresIn: float | None = None,
        *,
        singleTile: int = -1,
        inImage: InImage | None = None,
    ) -> RingTool:
        """Fit the beam centre to the bright pixels of a ring.

        Parameters
        ----------
        detname, use_mask, use_mask_local, limits, plotIt, singleTile, inImage : as in
            `FitCircle`
        thresIn : take pixels above this percentile; asked for where somebody can be
            asked, else 99

        Examples
        --------
        >>> anaps.FitCircleThreshold("jungfrau1M", thresIn=99.5)  # doctest: +SKIP
        """
        return self.FitCircle(
            detname,
            use_mouse=False,
            use_mask=use_mask,
            use_mask_local=use_mask_local,
            plotIt=plotIt,
            thresIn=thresIn,
            limits=limits,
            singleTile=singleTile,
            inImage=inImage,
        )

    def FitCircleAuto(
        self,
        detname: str | None = None,
        plotRes: bool = True,
        forceMask: bool = False,
        inImage: InImage | None = None,
        *,
        use_mask: bool = True,
        use_mask_local: bool = False,
        limits: tuple[float, float] | None = None,
        singleTile: int = -1,
    ) -> RingTool:
        """Find the beam centre from all rings of the picture, without a guess.

        Parameters
        ----------
        detname, use_mask, use_mask_local, limits, singleTile, inImage : as in
            `FitCircle`
        plotRes : show the result
        forceMask : True says that a mask which leaves less than half of the picture
            is meant so

        Returns
        -------
        As `FitCircle`.

        Examples
        --------
        >>> anaps.FitCircleAuto("jungfrau1M").accept()  # doctest: +SKIP
        """
        tool = self._ring_tool(
            inImage, detname, MaskChoice(use_mask, use_mask_local, singleTile)
        )
        share = float(np.mean(tool.good))
        if share < _FEW and singleTile < 0 and not forceMask:
            print(
                f"note: only {share:.0%} of the pixels are good; is a mask inverted? "
                "forceMask=True says that it is not"
            )
        tool.fit_auto()
        return self._shown(tool, plotRes, limits)

    def centerFromAzimuth(
        self,
        detname: str | None = None,
        center: Sequence[float] | None = None,
        *,
        phiBins: int = 36,
        plotIt: bool = True,
        use_mask: bool = True,
        use_mask_local: bool = False,
        limits: tuple[float, float] | None = None,
        inImage: InImage | None = None,
    ) -> RingTool:
        """Refine the beam centre with how the rings depend on the azimuth.

        The true places of the pixels are used, also on panels that are turned or
        shifted.  `AzInt_centerVar` shows what this computes.

        Parameters
        ----------
        detname, use_mask, use_mask_local, limits, inImage : as in `FitCircle`
        center : x and y to begin with [um]; by default the accepted or exported one
        phiBins : number of azimuths
        plotIt : show the result

        Returns
        -------
        As `FitCircle`.

        Examples
        --------
        >>> anaps.centerFromAzimuth("jungfrau1M").accept()  # doctest: +SKIP
        """
        tool = self._ring_tool(inImage, detname, MaskChoice(use_mask, use_mask_local))
        x, y = tool.refine(center, phiBins).moved
        print(f"{tool.detector}: the centre moves by x {x:+.1f}, y {y:+.1f} um")
        return self._shown(tool, plotIt, limits)

    # ----------------------------------------------------------------------------------

    def _ring_tool(
        self, in_image: InImage | None, detname: str | None, masks: MaskChoice
    ) -> RingTool:
        from smalldata_ana.session.tools.ring import RingTool

        average = average_of(self, in_image, detname)
        return RingTool(self, average, masks.good(self, average), masks.options())

    def _shown(
        self, tool: RingTool, plot: bool, limits: tuple[float, float] | None
    ) -> RingTool:
        """Print what was fitted and, if wanted, show it."""
        print(f"{tool.detector}: {tool.summary()}")
        if plot and tool.value is not None:
            from smalldata_ana.session.chosen import draw_chosen
            from smalldata_ana.session.ring_plots import plot_rings

            ax = plot_rings(
                tool.average,
                tool.value,
                points=tool.points,
                limits=limits or self.display.limits,
                cmap=self.display.cmap,
            )
            draw_chosen(self, ax, tool.average)
            if not self.interactive:
                self.pictures.only_latest(f"FitCircle_{tool.detector}", ax)
        return tool


def _row_column_radius(ring: Sequence[float]) -> tuple[float, float, float]:
    try:
        row, column, radius = map(float, ring)
    except (TypeError, ValueError):
        raise ParameterError(
            f"ring = {ring!r} is not three numbers: row, column and radius [px]"
        ) from None
    return row, column, radius
