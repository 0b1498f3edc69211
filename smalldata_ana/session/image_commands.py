"""The commands that make, show, save and load average images."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from smalldata_ana.detector.kind_model import CommonModeChoice
from smalldata_ana.errors import NameNotFound, NoDataError, unknown
from smalldata_ana.session.output_folder import output_folder
from smalldata_ana.session.progress import Progress
from smalldata_ana.session.prompts import choose
from smalldata_ana.session.selecting import ChosenEvents, Filter, choose_events
from smalldata_ana.session.state import SessionState

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from smalldata_ana.average_image import AverageImage
    from smalldata_ana.event_images import PixelHistogram

Array = npt.NDArray[Any]


class ImageCommands(SessionState):
    """`AvImage` and its company."""

    def AvImage(
        self,
        detname: str | None = "None",
        numEvts: int = 100,
        thresADU: float = 0.0,
        thresRms: float = 0.0,
        useFilter: Filter | None = None,
        nSkip: int = 0,
        minIpm: tuple[str, float] | None = None,
        common_mode: CommonModeChoice | None = None,
        std: bool = False,
        median: bool = False,
        printFid: bool = False,
        useMask: bool = True,
        uniform: bool = False,
        returnEnv: bool = False,
        max: bool = False,
        hits: bool = False,
    ) -> AverageImage | dict[str, Array]:
        """Average calibrated images of a detector.

        Dropped X-ray shots are left out, where the run has X-rays at all and no
        filter is given.  Ctrl-C ends it early and keeps the events so far; a second
        one, while their statistics are finished, gives up.

        Parameters
        ----------
        detname : name of the detector; the only one is taken, among several you are
            asked
        numEvts : how many events, -1 for all
        thresADU : pixels below it count as 0 [unit of the calibrated image]; if
            negative, pixels above its absolute value are counted instead (hit map)
        thresRms : the same, in units of each pixel's noise
        useFilter : name of a selection (``anaps.selections``), boolean array over the
            run's events, or timestamps
        nSkip : events to skip at the begin of the run
        minIpm : name of a scalar and its minimum, e.g. ``("gasdet/energy", 0.5)``
        common_mode : number of the correction; the usual one of the detector's type
            each time it is left out
        std, median, max, hits : make these images as well
        printFid : print the timestamps of the events
        useMask : set bad pixels to 0
        uniform : spread the events over the run
        returnEnv : return the scalars of the used events instead of the image

        Returns
        -------
        The image; also ``anaps.images[name]`` and ``anaps.AvImg_…``.  With
        `returnEnv` a dict of arrays, one value an event.

        Examples
        --------
        >>> anaps.AvImage("epix100", 200, std=True)  # doctest: +SKIP
        """
        from smalldata_ana.averaging import average

        detector = self.pick_detector(detname)
        events = self._events(
            detector,
            numEvts,
            useFilter,
            skip=nSkip,
            uniform=uniform,
            minimum=minIpm,
        )
        with Progress(f"average of {detector}") as progress:
            image = average(
                self.run,
                detector,
                events=events.numbers,
                common_mode=common_mode,
                thresADU=thresADU,
                thresRms=thresRms,
                std=std,
                median=median,
                max=max,
                hits=hits,
                useMask=useMask,
                selection=events.name,
                more={
                    "selected_by": events.text,
                    "dropped_shots": events.dropped,
                    "skip": nSkip,
                    "uniform": uniform,
                },
                progress=progress,
            )
        self.images.add(image)
        print(_summary(image, events))
        if common_mode is None:
            self._suggest_common_mode(detector, image)
        if printFid:
            print("\n".join(map(str, image.timestamps)))
        self._stop_batch(image)
        return self._environment(image.events) if returnEnv else image

    def getImages(
        self,
        detname: str | None = "None",
        numEvts: int = -1,
        useFilter: Filter | None = None,
        nSkip: int = 0,
        common_mode: CommonModeChoice | None = None,
    ) -> Array:
        """Return calibrated images of a detector, one behind the other.

        Parameters
        ----------
        detname, numEvts, useFilter, nSkip, common_mode : as in `AvImage`

        Returns
        -------
        float32, (events with data, *shape of the detector).

        Examples
        --------
        >>> anaps.getImages("epix100", 10).shape  # doctest: +SKIP
        (10, 704, 768)
        """
        from smalldata_ana.event_images import get_images

        detector = self.pick_detector(detname)
        events = self._events(detector, numEvts, useFilter, skip=nSkip)
        with Progress(f"images of {detector}") as progress:
            images, _ = get_images(
                self.run,
                detector,
                events=events.numbers,
                common_mode=common_mode,
                progress=progress,
            )
        return images

    def pixelHistogram(
        self,
        detname: str | None = "None",
        numEvts: int = 100,
        nBins: int = 180,
        useFilter: Filter | None = None,
        nSkip: int = 0,
        maxHis: float | None = None,
        common_mode: CommonModeChoice | None = None,
        useMask: bool = True,
        uniform: bool = False,
        plot: bool = True,
    ) -> PixelHistogram:
        """Count the values of all pixels in all events.

        The peaks of no photon and of one photon are fitted to them and printed;
        `smalldata_ana.photon_peaks` gives them as numbers.

        Parameters
        ----------
        detname, numEvts, useFilter, nSkip, common_mode, uniform : as in `AvImage`
        nBins : number of bins
        maxHis : upper end of the histogram [unit of the calibrated image]; by default
            from the first events
        useMask : count good pixels only
        plot : show it, with the peaks

        Returns
        -------
        The histogram: ``.counts``, ``.edges``, ``.unit``, and how many values are
        ``.below`` and ``.above`` it.

        Examples
        --------
        >>> anaps.pixelHistogram("epix100").counts  # doctest: +SKIP
        """
        from smalldata_ana.event_images import pixel_histogram
        from smalldata_ana.photon_peaks import photon_peaks

        detector = self.pick_detector(detname)
        events = self._events(detector, numEvts, useFilter, skip=nSkip, uniform=uniform)
        with Progress(f"histogram of {detector}") as progress:
            histogram = pixel_histogram(
                self.run,
                detector,
                events=events.numbers,
                bins=nBins,
                range=(None, maxHis),
                common_mode=common_mode,
                useMask=useMask,
                progress=progress,
            )
        peaks = None
        try:
            peaks = photon_peaks(histogram.counts, histogram.edges, histogram.unit)
            print(peaks)
        except NoDataError as error:
            print(f"no peaks are fitted: {error}")
        if plot:
            from smalldata_ana.session.plots import plot_histogram

            plot_histogram(histogram, peaks=peaks)
        return histogram

    def getAvImage(
        self,
        detname: str | None = None,
        imgName: str | None = None,
    ) -> AverageImage:
        """Return an average image of this session.

        Parameters
        ----------
        detname : of this detector; asked for where there are images of several
        imgName : of this name, e.g. ``AvImg_pedSub_epix100``; by default the latest

        Examples
        --------
        >>> anaps.getAvImage("epix100").image  # doctest: +SKIP
        """
        if imgName is not None:
            return self.images[imgName]
        newest = self.images.latest()
        if newest is None:
            raise NameNotFound("there is no average image yet; make one: AvImage()")
        detectors = list(dict.fromkeys(i.detector for i in self.images.values()))
        if detname is None or detname == "None":
            detname = choose(
                "detector", detectors, default=newest.detector, ask=self.interactive
            )
        image = self.images.latest(detname)
        if image is None:
            detname = self.pick_detector(detname)
            what = unknown("image of the detector", detname, detectors)
            raise NameNotFound(f"{what} AvImage({detname!r}) makes one")
        return image

    def plotAvImage(
        self,
        detname: str | None = None,
        imgName: str | None = None,
        use_mask: bool | None = None,
        ROI: Any = None,
        limits: tuple[float, float] | None = None,
        returnIt: bool = False,
        inImage: AverageImage | None = None,
        ax: Axes | None = None,
        regions: bool | None = None,
    ) -> Axes | Array:
        """Show an average image.

        Parameters
        ----------
        detname, imgName : which image, as in `getAvImage`
        use_mask : blank bad pixels; by default as ``Display.use_mask``
        ROI : a region to draw, and to show enlarged
        limits : colour limits [percentiles]; by default ``Display.limits``
        returnIt : return the assembled image instead of the axes
        inImage : show this image instead
        ax : axes to draw in; by default those of a new figure
        regions : draw what was chosen: regions, masked pixels, beam centre; by default
            unless `ROI` is given

        Examples
        --------
        >>> anaps.plotAvImage(limits=(1, 99))  # doctest: +SKIP
        """
        from smalldata_ana.session.chosen import draw_chosen
        from smalldata_ana.session.plots import plot_image

        image = self.getAvImage(detname, imgName) if inImage is None else inImage
        axes = plot_image(
            image,
            limits=self.display.limits if limits is None else limits,
            use_mask=self.display.use_mask if use_mask is None else use_mask,
            roi=ROI,
            cmap=self.display.cmap,
            ax=ax,
        )
        if ROI is None if regions is None else regions:
            draw_chosen(self, axes, image)
        return image.image if returnIt else axes

    def saveAvImage(
        self, detname: str | None = None, dirname: str | os.PathLike[str] = ""
    ) -> Path:
        """Save the latest average image of a detector to an HDF5 (NeXus) file.

        Parameters
        ----------
        detname : which detector, as in `getAvImage`
        dirname : the folder; by default that of the experiment's images, or the
            working directory where it has none

        Returns
        -------
        The file ``<exp>_Run<run>_<image>.h5``; `loadAvImage` reads it.

        Examples
        --------
        >>> anaps.saveAvImage("epix100", "/tmp")  # doctest: +SKIP
        """
        from smalldata_ana.image_file import save_image

        image = self.getAvImage(detname)
        if dirname:
            folder = Path(dirname).expanduser()
        else:
            folder = output_folder(self.places, self.places.images)
        name = f"{self.file_stem()}_{image.name}.h5"
        path = save_image(image, folder / name)
        print(f"saved {path}")
        return path

    def loadAvImage(self, path: str | os.PathLike[str]) -> AverageImage:
        """Load an average image that `saveAvImage` wrote, and keep it by its name.

        Parameters
        ----------
        path : the file

        Examples
        --------
        >>> anaps.loadAvImage("xppsim01_Run0001_AvImg_pedSub_epix100.h5")
        ... # doctest: +SKIP
        """
        from smalldata_ana.image_file import load_image

        image = load_image(Path(path).expanduser())
        self.images.add(image)
        return image

    def _events(
        self, detector: str, count: int, use_filter: Filter | None, **options: Any
    ) -> ChosenEvents:
        if self.run.growing:
            self.run.refresh()
        return choose_events(
            self.run,
            detector,
            count,
            self.selections,
            use_filter=use_filter,
            **options,
        )

    def _suggest_common_mode(self, detector: str, image: AverageImage) -> None:
        """Tell once of a common mode that may serve better than the default."""
        from smalldata_ana.detector.kinds import kind_of

        info = self.detectors[detector]
        kind = kind_of(info.dettype, info.shape)
        if kind.suggested_common_mode is None or detector in self._suggested:
            return
        if image.made["common_mode"] == kind.common_mode().number:
            self._suggested.add(detector)
            number = kind.suggested_common_mode
            print(f"  hint: common_mode={number} is suggested for {kind.title}")

    def _stop_batch(self, image: AverageImage) -> None:
        """Ctrl-C ends a script, although the image of the events so far is kept."""
        if image.made["interrupted"] and not self.interactive:
            raise KeyboardInterrupt

    def _environment(self, events: npt.NDArray[np.int64]) -> dict[str, Array]:
        """Return timestamps and all single values of some events."""
        names = [name for name, info in self.scalars.items() if info.shape == ()]
        values = {name: self.run.scalar(name, events) for name in names}
        return {"timestamps": self.run.timestamps[events], **values}


def _summary(image: AverageImage, events: ChosenEvents) -> str:
    text = f"{image.name}: {image}"
    if image.made["interrupted"]:
        text += f"; interrupted, {events.numbers.size} were asked for"
    if events.text:
        text += f"; selected by {events.text}"
    if events.dropped:
        text += f"; the run's {events.dropped} dropped X-ray shots are left out"
    return "\n  note: ".join([text, *image.made["notes"]])
