"""The commands that integrate images over the azimuth."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from smalldata_ana.errors import NameNotFound, unknown
from smalldata_ana.session.detector_commands import DetectorCommands
from smalldata_ana.session.image_commands import ImageCommands
from smalldata_ana.session.in_image import average_of
from smalldata_ana.session.made_names import det_object
from smalldata_ana.session.mask_choice import MaskChoice
from smalldata_ana.session.prompts import choose

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from smalldata_ana.ana_funcs.azimuthal import azimuthalBinning
    from smalldata_ana.average_image import AverageImage
    from smalldata_ana.detector.det_object import DetObject
    from smalldata_ana.session.azint import AzimuthalAverage
    from smalldata_ana.session.in_image import InImage
    from smalldata_ana.session.tools.azint import AzIntTool
    from smalldata_ana.session.tools.center_variation import CenterVariationTool


class AzIntCommands(DetectorCommands, ImageCommands):
    """`addAzInt`, `AzInt`, `plotAzInt`, `getAzInt`, `AzInt_centerVar`."""

    @functools.cached_property
    def azints(self) -> dict[tuple[str, str], AzimuthalAverage]:
        """The latest results of `AzInt`, by detector and name of the function."""
        return {}

    @functools.cached_property
    def beam_answers(self) -> dict[str, dict[str, Any]]:
        """What was answered about the beam, by detector: offered the next time."""
        return {}

    def addAzInt(
        self,
        detname: str | None = None,
        phiBins: int | Sequence[float] = 1,
        qBin: float | Sequence[float] = 0.01,
        eBeam: float | None = None,
        center: Sequence[float] | None = None,
        dis_to_sam: float | None = None,
        name: str = "azav",
        Pplane: float | None = None,
        userMask: npt.NDArray[Any] | None = None,
        tx: float | None = None,
        ty: float | None = None,
        geomCorr: bool = True,
        polCorr: bool = True,
        inImage: InImage | None = None,
        *,
        polarization: str | float | None = None,
        nBins: int | None = None,
        rbin: float | Sequence[float] | None = None,
        thresADU: float | None = None,
        thresADUhigh: float | None = None,
        thresRms: float | None = None,
        ADU_per_Photon: float | None = None,
        errors: bool = False,
        counts: bool = False,
    ) -> AzIntTool:
        """Attach an azimuthal integration to a detector; it replaces one of its name.

        What is not given is taken from the detector's accepted or exported geometry,
        or asked for: Ctrl-C goes back one question, and what was answered is offered
        when it is asked again.

        Parameters
        ----------
        detname : name of the detector; asked for where there are several
        phiBins : number of bins in phi, or their edges [deg]
        qBin : width of the bins in q, or their edges [1/angstrom]
        eBeam : energy of the photons [keV]
        center : x and y where the beam meets the detector [um]
        dis_to_sam : distance of the sample [mm]
        name : what it is called
        Pplane, polarization : 'horizontal', 'vertical', or the fraction of horizontal
            polarization; it is compared with what the average image shows
        userMask : 1 = use, shape of the detector
        tx, ty : tilts [deg]
        geomCorr, polCorr : correct for the solid angle, and for the polarization
        inImage : the image to compare the polarization with; by default the latest
        nBins : number of bins in q, instead of their width
        rbin : width of bins in the radius, or their edges [um]; instead of q
        thresADU, thresADUhigh, thresRms : pixels outside of these count as 0 [unit of
            the image; multiples of the noise]
        ADU_per_Photon : value of a photon [unit of the image]; results are in photons
        errors, counts : give standard errors, and numbers of pixels, too

        Returns
        -------
        A tool: ``.accept()`` takes it for the producer, ``.value`` is the function.

        Examples
        --------
        >>> anaps.addAzInt(
        ...     "jungfrau1M", qBin=0.005, dis_to_sam=75, polarization="vertical"
        ... ).accept()  # doctest: +SKIP
        """
        from smalldata_ana.ana_funcs.azimuthal import azimuthalBinning
        from smalldata_ana.session.tools.azint import AzIntTool

        average = self._picture(inImage, detname)
        det = self._det_object(detname if average is None else average.detector)
        beam = {
            "eBeam": eBeam,
            "center": center,
            "dis_to_sam": dis_to_sam,
            "Pplane": Pplane,
            "polarization": polarization,
            "tx": tx,
            "ty": ty,
        }
        values = self._beam_values(
            det, beam, average, energy=rbin is None, polarized=polCorr
        )
        func = azimuthalBinning(
            name=name,
            phiBins=phiBins,
            qbin=qBin,
            userMask=userMask,
            geomCorr=bool(geomCorr),
            polCorr=bool(polCorr),
            nBins=nBins,
            rbin=rbin,
            thresADU=thresADU,
            thresADUhigh=thresADUhigh,
            thresRms=thresRms,
            ADU_per_Photon=ADU_per_Photon,
            errors=bool(errors),
            counts=bool(counts),
            **values,
        )
        return AzIntTool(self, det, func, average)

    def getAzAvs(self, detname: str | None = None) -> list[str]:
        """Return the names of the azimuthal integrations of a detector.

        Parameters
        ----------
        detname : name of the detector; asked for where there are several

        Examples
        --------
        >>> anaps.getAzAvs("jungfrau1M")  # doctest: +SKIP
        ['azav']
        """
        return list(self._functions(self._integrating(detname)))

    def getAzInt(
        self, detname: str | None = None, azintName: str | None = None
    ) -> azimuthalBinning:
        """Return an azimuthal integration of a detector.

        Parameters
        ----------
        detname : name of the detector; asked for where there are several
        azintName : its name; asked for where there are several

        Examples
        --------
        >>> anaps.getAzInt("jungfrau1M").params_as_dict()["q"]  # doctest: +SKIP
        """
        detector = self._integrating(detname)
        functions = self._functions(detector)
        if not functions:
            raise NameNotFound(
                f"{detector!r} has no azimuthal integration; add one: addAzInt()"
            )
        if azintName is None:
            what = "azimuthal integration"
            azintName = choose(what, list(functions), ask=self.interactive)
        if azintName not in functions:
            what = unknown("azimuthal integration", azintName, functions, detector)
            raise NameNotFound(what)
        return functions[azintName]

    def AzInt(
        self,
        detname: str | None = None,
        use_mask: bool = True,
        use_mask_local: bool = False,
        plotIt: bool = False,
        azintName: str | None = None,
        inImage: InImage | None = None,
        imgName: str | None = None,
        *,
        calibrant: str | None = None,
    ) -> AzimuthalAverage:
        """Integrate an average image over the azimuth.

        Parameters
        ----------
        detname : name of the detector; asked for where there are several
        use_mask : leave out bad pixels of the image
        use_mask_local : leave out also those of masks that were made in this session
        plotIt : show I(q), or the map of q and phi where there are several bins in phi
        azintName : with which integration; asked for where there are several
        inImage : integrate this image instead of the latest: an average, an array, or
            a table with 'image' and 'mask'
        imgName : the image of this name, e.g. ``AvImg_pedSub_jungfrau1M``
        calibrant : its lines are drawn, e.g. ``'LaB6'``

        Returns
        -------
        The result: ``.values`` (phi, q), ``.x``, ``.phi``, ``.unit``.

        Examples
        --------
        >>> anaps.AzInt("jungfrau1M", plotIt=True)  # doctest: +SKIP
        """
        from smalldata_ana.session.azint import azimuthal_average

        where = None if inImage is not None else self._integrating(detname)
        average = average_of(self, inImage, detname or where, imgName)
        func = self.getAzInt(average.detector, azintName)
        good = MaskChoice(use_mask, use_mask_local).good(self, average)
        found = azimuthal_average(func, average, good)
        self.azints[average.detector, func.name] = found
        if plotIt:
            self._plot(found, calibrant, None)
        return found

    def plotAzInt(
        self,
        detname: str | None = None,
        azintName: str | None = None,
        *,
        calibrant: str | None = None,
        ax: Axes | None = None,
    ) -> Axes:
        """Show the latest result of `AzInt`.

        Parameters
        ----------
        detname, azintName, calibrant : as in `AzInt`
        ax : axes to draw in; by default those of a new figure

        Examples
        --------
        >>> anaps.plotAzInt("jungfrau1M", calibrant="LaB6")  # doctest: +SKIP
        """
        func = self.getAzInt(detname, azintName)
        detector = self._integrating(detname)
        found = self.azints.get((detector, func.name))
        if found is None:
            found = self.AzInt(detector, azintName=func.name)
        return self._plot(found, calibrant, ax)

    def AzInt_centerVar(
        self,
        detname: str | None = None,
        use_mask: bool = True,
        center: Sequence[float] | None = None,
        data: InImage | None = None,
        varCenter: float = 110.0,
        zoom: Sequence[float] | None = None,
        qBin: float = 0.001,
        phiBins: int = 13,
        dis_to_sam: float | None = None,
        inImage: InImage | None = None,
        imgName: str | None = None,
        plotGrid: int = 0,
        *,
        eBeam: float | None = None,
        use_mask_local: bool = False,
        plotIt: bool = True,
    ) -> CenterVariationTool:
        """Choose the beam centre at which rings are straight over phi.

        The maps of q and phi for the centre and four centres around it are shown; a
        click on one of them takes its centre.  `centerFromAzimuth` computes it.
        Nothing is taken before ``.accept()``.

        Parameters
        ----------
        detname, use_mask, use_mask_local, imgName : as in `AzInt`
        center, dis_to_sam, eBeam : as in `addAzInt`
        data, inImage : show this image instead, as in `AzInt`
        varCenter : by how much x and y are varied [um]
        zoom : the lowest and highest q that are shown [1/angstrom]
        qBin : width of the bins in q [1/angstrom]
        phiBins : number of bins in phi
        plotGrid : 1 to show curves, one for each bin in phi, instead of maps
        plotIt : False to show nothing

        Returns
        -------
        A tool: ``.value`` is the centre (``.center_um``, ``.center_px``), which
        ``.move(x, y)``, ``.undo()``, ``.redo()`` and ``.reset()`` change;
        ``.accept()`` makes it the detector's geometry.

        Examples
        --------
        >>> tool = anaps.AzInt_centerVar("jungfrau1M", varCenter=150)  # doctest: +SKIP
        >>> tool.move(87500, 92800)  # doctest: +SKIP
        >>> tool.accept()  # doctest: +SKIP
        """
        from smalldata_ana.session.tools.center_variation import CenterVariationTool
        from smalldata_ana.session.tools.center_variation_figure import (
            CenterVariationFigure,
        )

        average = average_of(
            self, data if inImage is None else inImage, detname, imgName
        )
        det = self._det_object(average.detector)
        stated = {"dis_to_sam": dis_to_sam, "eBeam": eBeam}
        beam = self._beam_values(
            det, stated | {"center": center}, average, energy=True, polarized=False
        )
        given = {k: v for k, v in stated.items() if v is not None}
        given |= {"varCenter": varCenter, "qBin": qBin, "phiBins": phiBins}
        masks = MaskChoice(use_mask, use_mask_local)
        tool = CenterVariationTool(
            self,
            det,
            average,
            masks.good(self, average),
            masks.options(),
            beam=beam,
            given=given,
        )
        if plotIt:
            CenterVariationFigure(
                tool, zoom, curves=plotGrid > 0, cmap=self.display.cmap
            )
        return tool

    # ----------------------------------------------------------------------------------

    def _det_object(self, detname: str | None) -> DetObject:
        """Return a detector that there is, with its functions, or a new one."""
        return det_object(self, self.pick_detector(detname))

    def _functions(self, detector: str) -> dict[str, azimuthalBinning]:
        from smalldata_ana.ana_funcs.azimuthal import azimuthalBinning

        det = self.det_objects.get(detector)
        functions = {} if det is None else det.funcs
        return {n: f for n, f in functions.items() if isinstance(f, azimuthalBinning)}

    def _integrating(self, detname: str | None) -> str:
        """Return the detector that is meant: the only one with an integration."""
        from smalldata_ana.session.exported_azint import attach_exported

        attach_exported(self)
        having = [name for name in self.det_objects if self._functions(name)]
        only = having[0] if len(having) == 1 else None
        return self.pick_detector(only if detname in (None, "None") else detname)

    def _picture(
        self, in_image: InImage | None, detname: str | None
    ) -> AverageImage | None:
        """Return the image that was given, or the latest of the detector, if any."""
        if in_image is None:
            return self.images.latest(self.pick_detector(detname))
        return average_of(self, in_image, detname)

    def _beam_values(
        self,
        det: DetObject,
        given: dict[str, Any],
        average: AverageImage | None,
        *,
        energy: bool,
        polarized: bool,
    ) -> dict[str, Any]:
        from smalldata_ana.session.beam_questions import (
            beam_values,
            dialogue_of,
            polarization_of_image,
        )

        look = functools.partial(polarization_of_image, det, average)
        return beam_values(
            self,
            det.detname,
            given,
            energy=energy,
            look=look if polarized else None,
            dialogue=dialogue_of(self),
        )

    def _plot(
        self, found: AzimuthalAverage, calibrant: str | None, ax: Axes | None
    ) -> Axes:
        from smalldata_ana.session.azint_plots import plot_azint

        return plot_azint(found, calibrant=calibrant, cmap=self.display.cmap, ax=ax)
