"""Distance or energy, centre and tilt from the rings of a calibrant."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
import numpy.typing as npt

from smalldata_ana.detector.beam_geometry import BeamGeometry, on_plane
from smalldata_ana.errors import BeamCenterError, ParameterError, counted, unknown
from smalldata_ana.geometry_refinement.calibrants import (
    calibrant_name,
    ring_angles,
    ring_spacings,
)
from smalldata_ana.geometry_refinement.fitting import Fit, fit_points
from smalldata_ana.geometry_refinement.points import (
    Expected,
    Pixels,
    RingPoints,
    angles,
    pixel_angles,
    ring_points,
)
from smalldata_ana.geometry_refinement.results import RefinedGeometry, RefinedRing
from smalldata_ana.geometry_refinement.search import Scaled, best_scale, scaled
from smalldata_ana.geometry_refinement.unexplained import unexplained
from smalldata_ana.sources.base import PixelPositions

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.intp]
Flags = npt.NDArray[np.bool_]

_FIRST_REACH, _NARROWEST_REACH, _WIDEST_REACH = 12.0, 4.0, 60.0
"""How far from a ring its points are looked for, first, and later [px]."""
_WIDTHS = 5.0
"""The same, in widths (sigma) of the ring."""
_BETWEEN = 0.45
"""Share of the way to the next ring that is looked at."""
_MOST_ROUNDS = 12
_STAYS = 0.02
"""By how little the points move in the end [px]."""
_FIRST_RINGS = 6
_WRONG, _BY_MOST = 1.0, 3.0
"""A ring is wrong if its points are off by this [px], and by as many times more than
those of the better half of the rings."""
_FEWEST_POINTS = 10
_FEWEST_ON_RING = 3
_MOST_OUTLIERS = 0.4
_RANDOM = 0.25
"""Median distance of the points, by the reach of the search, from which they are no
rings; of points anywhere it is 0.4, as those near the ends do not count."""
_TILT_KNOWN = 1.0
"""Error of a tilt up to which it is taken [deg]."""
_FEW_RINGS = 1 / 3
_UNEXPLAINED = 2
"""Strong rings of something else, from which they are told; one may be the glow."""


def refine_geometry(
    image: npt.ArrayLike,
    positions: PixelPositions,
    calibrant: str,
    start: BeamGeometry,
    *,
    fixed: Scaled = "energy",
    good: npt.ArrayLike | None = None,
    center: bool = True,
    tilt: bool = True,
    rings: Sequence[int] | None = None,
    search: float = 0.1,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> RefinedGeometry:
    """Fit distance or energy, centre and tilt to the rings of a calibrant.

    Points on the rings are found in sectors, near where the geometry so far has them,
    and their distances from the rings of the calibrant made smallest by weighted least
    squares; this is repeated as the rings come nearer.

    Parameters
    ----------
    image : of any shape; what is not finite does not count
    positions : of its pixels; `flat_positions` for an assembled image
    calibrant : one of `calibrants`, in capital or small letters
    start : the centre to within a few pixels; distance and energy, one of them as it is
        and the other to within `search`; tilts
    fixed : ``energy``, to fit the distance, or ``distance``, to fit the energy
    good : bool, shape of the image; True = use
    center : fit the centre
    tilt : fit the tilts as well; those that the rings do not tell to a degree stay as
        they are, with a note
    rings : numbers of the rings to use, from 1; by default all that are seen
    search : largest relative error of the distance or energy that is not fixed
    progress : called before each round of the fit, with how many are done, of at most

    Raises
    ------
    BeamCenterError
        if no rings fit, or few of them while strong rings are of something else; it
        says what was seen
    ParameterError
        if there is no such calibrant, the energy is missing, or shapes differ
    """
    name = calibrant_name(calibrant)
    free = _free(fixed)
    if start.energy is None:
        raise ParameterError(
            f"the energy is needed, exactly or nearly, to know the rings of {name}: "
            "give eBeam [keV]"
        )
    pixels = _pixels(image, positions, good)
    chosen = _chosen(ring_spacings(name), rings, name)
    spacings = chosen.spacings
    beam = start
    if search > 0:
        beam = scaled(start, free, best_scale(pixels, start, spacings, free, search))
    work = _Work(pixels, chosen, name, _rounds(progress, 2 if tilt else 1))
    names = (free, "x", "y") if center else (free,)
    fit = work.refined(beam, names)
    if not tilt:
        return work.result(fit, ())
    return work.tilted(fit, names)


def _rounds(progress: Callable[[int, int], None], fits: int) -> Callable[[], None]:
    """Return what is to be called before each round of some fits."""
    done = itertools.count()
    return lambda: progress(next(done), fits * _MOST_ROUNDS)


def _free(fixed: Scaled) -> Scaled:
    choices = get_args(Scaled)
    if fixed not in choices:
        raise ParameterError(unknown("choice of fixed =", fixed, choices))
    return "distance" if fixed == "energy" else "energy"


def _pixels(
    image: npt.ArrayLike, positions: PixelPositions, good: npt.ArrayLike | None
) -> Pixels:
    values = np.asarray(image)
    if values.shape != positions.x.shape:
        raise ParameterError(
            f"the image has the shape {values.shape}, and its pixels' positions "
            f"{positions.x.shape}"
        )
    use = np.isfinite(values)
    if good is not None:
        asked = np.asarray(good, bool)
        if asked.shape != values.shape:
            raise ParameterError(
                f"good has the shape {asked.shape}, and the image {values.shape}"
            )
        use &= asked
    if np.count_nonzero(use) < _FEWEST_POINTS**2:
        raise BeamCenterError(f"no rings are seen: {counted(int(use.sum()), 'pixel')}")
    x, y, z = (np.asarray(a, np.float64)[use] for a in on_plane(positions))
    return Pixels(values[use].astype(np.float64), x, y, z, positions.pixel_size)


@dataclass(frozen=True, eq=False)
class _Rings:
    """Rings of a calibrant that may be used.

    Attributes
    ----------
    numbers : from 1, (rings,)
    spacings : of their planes [Angstrom]
    others : the same of the calibrant's other rings
    """

    numbers: npt.NDArray[np.intp]
    spacings: Floats
    others: Floats


def _chosen(spacings: Floats, rings: Sequence[int] | None, name: str) -> _Rings:
    numbers = np.arange(1, len(spacings) + 1)
    if rings is not None:
        wrong = [n for n in rings if n not in numbers]
        if wrong or not rings:
            raise ParameterError(
                f"rings = {list(rings)} of {name}: numbers from 1 to {len(spacings)}"
            )
        numbers = np.array(sorted(set(rings)))
    others = np.delete(spacings, numbers - 1)
    return _Rings(numbers, spacings[numbers - 1], others)


@dataclass(frozen=True, eq=False)
class _Refined:
    """A fit, which of the rings its points may be on, and which were left out."""

    fit: Fit
    index: Indices
    left_out: Indices


@dataclass(frozen=True, eq=False)
class _Work:
    """A picture and a calibrant, and what is called before each round of a fit."""

    pixels: Pixels
    rings: _Rings
    name: str
    begin_round: Callable[[], None]

    def refined(self, beam: BeamGeometry, fitted: tuple[str, ...]) -> _Refined:
        """Find points and fit the geometry, until it stays.

        Rings that are not where the others say are left out: real calibrants have
        more lines than the list, and far ones may be something else.
        """
        width = np.full(len(self.rings.numbers), np.nan)
        wanted = np.ones(len(width), bool)
        for turn in range(_MOST_ROUNDS):
            self.begin_round()
            expected, index = self._expected(beam, width, wanted)
            # From the inner rings outwards: these are surely those of the list.
            inner = slice(_FIRST_RINGS * 2**turn)
            whole = len(index) <= inner.stop
            expected, index = expected.some(inner), index[inner]
            points = ring_points(self.pixels, expected)
            self._check(points, expected)
            spacings = self.rings.spacings[index]
            fit = fit_points(points, spacings, beam, self.pixels.size, fitted)
            moved = _moved(fit, beam, self.pixels.size)
            wrong = index[_wrong_rings(fit, len(index))]
            width[index], wanted[wrong], beam = points.width, False, fit.beam
            if whole and moved < _STAYS and not wrong.size:
                break
        self._check_fit(fit, expected)
        return _Refined(fit, index, np.flatnonzero(~wanted))

    def tilted(self, fit: _Refined, fitted: tuple[str, ...]) -> RefinedGeometry:
        """Fit the tilts as well; if the rings do not tell them, stay with a fit."""
        try:
            found = self.refined(fit.fit.beam, (*fitted, "tx", "ty"))
        except BeamCenterError:
            return self.result(fit, ("the rings do not tell the tilt; it stays",))
        worst = math.sqrt(np.diag(found.fit.covariance)[-2:].max())
        if worst < _TILT_KNOWN:
            return self.result(found, ())
        note = f"the rings tell the tilt to {worst:.1f} deg only; it stays"
        return self.result(fit, (note,))

    def result(self, refined: _Refined, notes: tuple[str, ...]) -> RefinedGeometry:
        """Return what a fit found, for people."""
        fit, index = refined.fit, refined.index
        rings = tuple(self._rings(fit, index))
        notes += self._about_others(fit.beam, rings, len(index))
        if len(rings) < _FEW_RINGS * len(index):
            notes = (
                *notes,
                f"only {len(rings)} of {counted(len(index), 'ring')} that the detector "
                "should see were found: is it this calibrant?",
            )
        if len(rings) == 1:
            notes = (
                *notes,
                f"one ring alone fits many distances: is it number {rings[0].number} "
                f"of {self.name}?",
            )
        if refined.left_out.size:
            numbers = ", ".join(map(str, self.rings.numbers[refined.left_out]))
            notes = (*notes, f"left out, as they are not where others say: {numbers}")
        return RefinedGeometry(
            beam=fit.beam,
            fitted=fit.fitted,
            covariance=fit.covariance,
            calibrant=self.name,
            rings=rings,
            expected=len(index),
            residual=_rms(fit.distances[fit.used]),
            chi2=fit.chi2,
            notes=notes,
        )

    def _about_others(
        self, beam: BeamGeometry, rings: tuple[RefinedRing, ...], expected: int
    ) -> tuple[str, ...]:
        """Tell of strong rings that are not the calibrant's.

        Raises
        ------
        BeamCenterError
            if there are some, and few of the calibrant's
        """
        used = [ring.spacing for ring in rings]
        left = unexplained(self.pixels, beam, np.concatenate([used, self.rings.others]))
        if len(left) < _UNEXPLAINED:
            return ()
        radii = ", ".join(f"{radius:.0f}" for radius in left)
        what = f"{len(left)} strong rings are not of {self.name} (R = {radii} px)"
        few = len(rings) < max(2, _FEW_RINGS * expected)
        if few or len(left) >= 2 * len(rings):
            raise BeamCenterError(
                f"{what}; of its own, {len(rings)} of {counted(expected, 'ring')} in "
                "the field of view fit: is it this calibrant? Check calibrant=, "
                "dis_to_sam= and eBeam="
            )
        return (f"{what}: is it this calibrant?",)

    def _rings(self, fit: Fit, index: Indices) -> Iterator[RefinedRing]:
        angles_deg = np.degrees(
            ring_angles(self.rings.spacings[index], fit.beam.energy or 0.0)
        )
        for k, of in enumerate(index):
            on = fit.used & (fit.points.ring == k)
            if np.count_nonzero(on) >= _FEWEST_ON_RING:
                yield RefinedRing(
                    number=int(self.rings.numbers[of]),
                    spacing=float(self.rings.spacings[of]),
                    two_theta=float(angles_deg[k]),
                    points=int(np.count_nonzero(on)),
                    residual=_rms(fit.distances[on]),
                )

    def _expected(
        self, beam: BeamGeometry, width: Floats, wanted: Flags
    ) -> tuple[Expected, Indices]:
        """Return the rings that the picture can show, and which of ours they are."""
        rings = ring_angles(self.rings.spacings, beam.energy or 0.0)
        angle, _ = angles(beam, self.pixels.x, self.pixels.y, self.pixels.z)
        with np.errstate(invalid="ignore"):
            seen = (rings > angle.min()) & (rings < angle.max())
        index = np.flatnonzero(seen)
        if not index.size:
            raise self._none(
                f"the detector sees 2 theta from {np.degrees(angle.min()):.2f} to "
                f"{np.degrees(angle.max()):.2f} degrees, and no ring lies there"
            )
        rings = rings[index]
        scale = pixel_angles(beam, self.pixels.size, rings)
        gaps = np.diff(rings) / scale[1:]
        nearest = np.minimum(np.append(gaps, np.inf), np.insert(gaps, 0, np.inf))
        enough = np.clip(_WIDTHS * width[index], _NARROWEST_REACH, _WIDEST_REACH)
        enough = np.where(np.isfinite(enough), enough, _FIRST_REACH)
        reach = np.minimum(enough, _BETWEEN * nearest)
        apart = (reach >= _NARROWEST_REACH) & wanted[index]
        if not apart.any():
            raise self._none("its rings are too near to each other on this detector")
        return (
            Expected(beam, rings[apart], reach[apart], self.pixels.size),
            index[apart],
        )

    def _check(self, points: RingPoints, expected: Expected) -> None:
        """Refuse points that are too few, or that lie anywhere."""
        looked = (
            f"{counted(len(points), 'peak')} in {counted(points.sectors, 'sector')} of "
            f"{counted(len(expected.two_theta), 'ring')} expected"
        )
        if len(points) < _FEWEST_POINTS:
            raise self._none(looked)

    def _check_fit(self, fit: Fit, expected: Expected) -> None:
        """Refuse a fit with which the points do not agree."""
        share = float(np.mean(fit.used))
        scatter = fit.distances / expected.reach[fit.points.ring]
        usual = float(np.median(np.abs(scatter)))
        if share < 1 - _MOST_OUTLIERS or usual > _RANDOM:
            raise self._none(
                f"{counted(len(fit.used), 'peak')} near "
                f"{counted(len(expected.two_theta), 'ring')}, of which {share:.0%} "
                f"agree, half of them to {usual:.0%} of the way that was searched"
            )

    def _none(self, seen: str) -> BeamCenterError:
        return BeamCenterError(
            f"no rings of {self.name} fit: {seen}; check calibrant, distance, energy "
            "and centre, average more events, or mask what disturbs"
        )


def _moved(fit: Fit, before: BeamGeometry, size: float) -> float:
    """Return how far a fit moved the rings at the points, at most [px]."""
    some = fit.points.some(fit.used)
    now, then = (angles(b, some.x, some.y, some.z)[0] for b in (fit.beam, before))
    return float(np.max(np.abs(now - then) / pixel_angles(before, size, then)))


def _wrong_rings(fit: Fit, rings: int) -> Indices:
    """Return the rings whose points are far from where the others say."""
    off = np.full(rings, np.nan)
    for ring in np.unique(fit.points.ring):
        off[ring] = np.median(np.abs(fit.distances[fit.points.ring == ring]))
    limit = max(_WRONG, _BY_MOST * float(np.nanquantile(off, 0.25)))
    with np.errstate(invalid="ignore"):
        return np.flatnonzero(off > limit)


def _rms(distances: Floats) -> float:
    return float(np.sqrt(np.mean(np.square(distances))))
