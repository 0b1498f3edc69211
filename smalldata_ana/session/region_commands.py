"""The commands that choose regions of interest, and what there is of them."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from smalldata_ana.session.in_image import average_of
from smalldata_ana.session.prompts import somebody_there
from smalldata_ana.session.regions import Regions
from smalldata_ana.session.state import SessionState

if TYPE_CHECKING:
    from smalldata_ana.ana_funcs.regions import Region
    from smalldata_ana.average_image import AverageImage
    from smalldata_ana.session.in_image import InImage
    from smalldata_ana.session.tools.roi import RoiTool


class RegionCommands(SessionState):
    """`SelectRegion`, `SelectRegionDroplet`, `ROIs`."""

    @functools.cached_property
    def ROIs(self) -> Regions:
        """The regions of interest by name: this session's, and those of the file.

        ``anaps.ROIs.rename(old, new)``, ``.remove(name)``, ``.show()``.
        """
        return Regions(self)

    def SelectRegion(
        self,
        detname: str | None = None,
        limits: tuple[float, float] | None = None,
        *,
        ROI: Region | None = None,
        inImage: InImage | None = None,
    ) -> RoiTool:
        """Choose a region of a detector; nothing is taken before ``.accept()``.

        Drag a rectangle on the image; its handles can be moved, another drag draws
        another one, Escape begins anew, Ctrl-Z and Ctrl-Y undo and redo.  A rectangle
        over several panels is one region with a box for each of them.

        Parameters
        ----------
        detname : name of the detector; asked for where there are several
        limits : colour limits of the picture [percentiles]; by default those of
            ``Display.limits``
        ROI : the region, to choose it without a picture: half-open ``[begin, end)``
            pairs in raw indices, ``[[p0, p1], [r0, r1], [c0, c1]]``, or
            ``[[r0, r1], [c0, c1]]`` for a detector without panels; or a list of these
        inImage : the image to choose it on; by default the latest of the detector

        Returns
        -------
        A tool with ``.value``, ``.mask``, ``.undo()``, ``.redo()``, ``.reset()`` and
        ``.accept(name=None)``.

        Examples
        --------
        >>> roi = anaps.SelectRegion("jungfrau1M")  # doctest: +SKIP
        >>> roi = anaps.SelectRegion(
        ...     "jungfrau1M", ROI=[[0, 1], [100, 120], [50, 60]]
        ... )  # doctest: +SKIP
        >>> roi.accept(name="ROI_0")  # doctest: +SKIP
        """
        average = None if ROI is not None else average_of(self, inImage, detname)
        return self._region_tool("SelectRegion", detname, average, limits, ROI)

    def SelectRegionDroplet(
        self,
        detname: str | None = None,
        limits: tuple[float, float] | None = None,
        *,
        ROI: Region | None = None,
        inImage: InImage | None = None,
    ) -> RoiTool:
        """Choose a region on an image of numbers of hits, as `SelectRegion` does.

        The average itself is shown where it has no numbers of hits.  To use only what
        is inside, ``anaps.MakeMask(detname, extMask=region.mask)`` makes a mask, which
        goes into the parameter file, the constants store or a file; ``~region.mask``
        makes one that leaves the region out.

        Parameters
        ----------
        detname, limits, ROI : as in `SelectRegion`
        inImage : the image of hits or droplets; by default the latest average, and of
            it the numbers of hits if they were asked for

        Returns
        -------
        A tool as that of `SelectRegion`: ``.value`` is the region, and ``.mask`` its
        pixels: bool, shape of a frame, True inside.

        Examples
        --------
        >>> anaps.AvImage("epix100", thresADU=3, hits=True)  # doctest: +SKIP
        >>> anaps.SelectRegionDroplet("epix100").accept("spot")  # doctest: +SKIP
        """
        average = None if ROI is not None else self._hit_image(inImage, detname)
        return self._region_tool("SelectRegionDroplet", detname, average, limits, ROI)

    def _hit_image(self, inImage: InImage | None, detname: str | None) -> AverageImage:
        average = average_of(self, inImage, detname)
        if inImage is not None or average.statistic == "sum":
            return average
        if "hits" in average.statistics():
            return average.of("hits")
        print(
            f"note: {average.name} has no numbers of hits; its {average.quantity} is "
            f"shown. AvImage({average.detector!r}, thresADU=…, hits=True) makes them"
        )
        return average

    def _region_tool(
        self,
        command: str,
        detname: str | None,
        average: AverageImage | None,
        limits: tuple[float, float] | None,
        ROI: Region | None,
    ) -> RoiTool:
        """Return the tool: with its region, or else with a picture to draw on."""
        from smalldata_ana.session.tools.roi import RoiTool
        from smalldata_ana.session.tools.roi_dialogue import choose_region

        if average is None:
            detector = self.pick_detector(detname)
            latest = self.images.latest(detector)
            return RoiTool(self, detector, ROI, latest, command)
        tool = RoiTool(self, average.detector, None, average, command)
        figure = tool.show(self.display, limits)
        if self.interactive and somebody_there():
            self.pictures.write_now(figure)
            choose_region(tool)
        return tool
