"""What the simulated detectors see: scattering, photons, noise; arrays in, arrays out.

Frame and signs are those of the package: psana's x down (rows), y right (columns),
z against the beam; laboratory = (-y, -x, -z).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]

HC = 12.398419843320026
"""Planck constant times speed of light [keV Angstrom], CODATA 2018."""

BEAM_STOP = 1500.0
"""Radius of the beam stop's shadow [um]."""


@dataclass(frozen=True)
class Setup:
    """The X-ray beam, and where it meets the detector.

    Attributes
    ----------
    energy : photon energy [keV]
    distance : from the sample to the plane at the mean z of the pixels, along the
        plane's normal [mm]
    center : x, y in the psana frame where the beam meets that plane [um]
    tilt : tx, ty [deg]; the beam runs along
        (-sin ty cos tx, -sin tx, -cos ty cos tx) in the psana frame
    polarization : fraction of the laboratory-horizontal polarization, 0 to 1;
        0 is vertical
    """

    energy: float = 9.5
    distance: float = 75.0
    center: tuple[float, float] = (6200.0, -9400.0)
    tilt: tuple[float, float] = (0.0, 0.0)
    polarization: float = 0.0

    @property
    def direction(self) -> Floats:
        """Unit vector of the beam in the psana frame."""
        tx, ty = np.deg2rad(self.tilt)
        return np.array(
            [-np.sin(ty) * np.cos(tx), -np.sin(tx), -np.cos(ty) * np.cos(tx)]
        )


@dataclass(frozen=True)
class Ring:
    """One powder ring: position and width (sigma) [1/Angstrom], photons at its top."""

    q: float
    width: float
    photons: float


@dataclass(frozen=True)
class View:
    """The pixels as the sample sees them; arrays in the shape of a raw frame.

    Attributes
    ----------
    two_theta : scattering angle [rad]
    q : momentum transfer [1/Angstrom]
    radius : distance from the beam in the detector plane [um]
    weight : solid angle, relative to a pixel at the beam, times polarization factor
    """

    two_theta: Floats
    q: Floats
    radius: Floats
    weight: Floats


def momentum_transfer(two_theta: Array, energy: float) -> Floats:
    """Return q = 4 pi / lambda sin(two_theta / 2) [1/Angstrom]."""
    return np.asarray(4 * np.pi * energy / HC * np.sin(two_theta / 2))


def scattering_angle(q: Array | float, energy: float) -> Floats:
    """Return two_theta [rad] of a momentum transfer [1/Angstrom]."""
    return np.asarray(2 * np.arcsin(np.asarray(q) * HC / (4 * np.pi * energy)))


def polarization_factor(rays: Array, direction: Array, horizontal: float) -> Floats:
    """Return the factor of Thomson scattering, 1 - (ray . E)^2, for a mixture.

    For a beam along -z this is 1 - sin^2(two_theta) sin^2(phi) for vertical
    polarization (E along psana x, where phi = 90 deg), and
    1 - sin^2(two_theta) cos^2(phi) for horizontal (E along psana y, phi = 0).

    Parameters
    ----------
    rays : unit vectors from the sample to the pixels, ``(..., 3)``, psana frame
    direction : unit vector of the beam
    horizontal : fraction of the laboratory-horizontal polarization
    """
    factor = np.ones(rays.shape[:-1])
    for axis, fraction in ((1, horizontal), (0, 1 - horizontal)):
        field = np.zeros(3)
        field[axis] = 1.0
        field -= (field @ direction) * direction
        field /= np.linalg.norm(field)
        factor -= fraction * (rays @ field) ** 2
    return factor


def panel_normals(positions: Array) -> Floats:
    """Return the unit normal of each panel, ``(panels, 3)``.

    Parameters
    ----------
    positions : ``(panels, rows, columns, 3)``
    """
    down = positions[:, -1, 0] - positions[:, 0, 0]
    right = positions[:, 0, -1] - positions[:, 0, 0]
    normal = np.cross(down, right)
    return np.asarray(normal / np.linalg.norm(normal, axis=-1, keepdims=True))


def view(
    x: Array, y: Array, z: Array, setup: Setup, plane: float | None = None
) -> View:
    """Look at the pixels from the sample.

    Parameters
    ----------
    x, y, z : pixel positions in the psana frame [um], ``(panels, rows, columns)``
    setup : the beam
    plane : mean z of the whole detector [um], where these are only some panels of it

    Returns
    -------
    Angles, and the weight: area |n . r| / r^2 relative to a pixel at the beam, with
    each panel's own normal n, times the polarization factor.
    """
    direction = setup.direction
    foot = np.array([*setup.center, z.mean() if plane is None else plane])
    path = setup.distance * 1e3 / abs(direction[2])
    positions = np.stack([x, y, z], axis=-1)
    rays = positions - (foot - path * direction)
    length = np.linalg.norm(rays, axis=-1)
    rays /= length[..., None]
    two_theta = np.arccos(np.clip(rays @ direction, -1, 1))
    normals = panel_normals(positions)
    slant = np.abs(np.einsum("prci,pi->prc", rays, normals))
    at_beam = abs(direction[2]) / path**2
    weight = slant / length**2 / at_beam
    weight *= polarization_factor(rays, direction, setup.polarization)
    return View(
        two_theta=two_theta,
        q=momentum_transfer(two_theta, setup.energy),
        radius=np.hypot(x - foot[0], y - foot[1]),
        weight=weight,
    )


def ring_pattern(q: Array, rings: Sequence[Ring]) -> Floats:
    """Return Gaussian rings [photons per pixel]."""
    pattern = np.zeros(q.shape)
    for ring in rings:
        near = np.abs(q - ring.q) < 6 * ring.width
        pattern[near] += ring.photons * np.exp(
            -0.5 * ((q[near] - ring.q) / ring.width) ** 2
        )
    return pattern


def liquid_pattern(q: Array, photons: float) -> Floats:
    """Return a broad liquid-like peak at 2 1/Angstrom on a flat background."""
    return np.asarray(photons * (0.3 + 0.7 * np.exp(-0.5 * ((q - 2.0) / 0.35) ** 2)))


def halo_pattern(radius: Array, photons: float) -> Floats:
    """Return the glow around the beam: photons / (1 + (radius / 1 mm)^6).

    Parameters
    ----------
    radius : distance from the beam [um]
    photons : per pixel, what the glow would be at the beam
    """
    return np.asarray(photons / (1 + (radius / 1000.0) ** 6))


def delay_response(delay: Array | float, amplitude: float, rise: float) -> Floats:
    """Return the relative change of a ring: amplitude (1 - exp(-delay / rise)).

    Parameters
    ----------
    delay : X-rays after laser [ps]; before the laser there is no change
    amplitude : the change in the end
    rise : time constant [ps]
    """
    late = np.maximum(np.asarray(delay, dtype=np.float64), 0.0)
    return np.asarray(amplitude * (1 - np.exp(-late / rise)))


def speckle_photons(
    rng: np.random.Generator, mean: float, modes: float, shape: tuple[int, ...]
) -> npt.NDArray[np.int64]:
    """Draw photons per pixel from a negative binomial (Goodman) distribution.

    Its variance is mean + mean^2 / modes: the contrast of the speckle is 1 / modes.
    """
    return rng.negative_binomial(modes, modes / (modes + mean), shape)


def place_photons(
    rng: np.random.Generator, counts: npt.NDArray[np.int64]
) -> npt.NDArray[np.float32]:
    """Give each photon a place in its pixel.

    Parameters
    ----------
    counts : photons per pixel, ``(rows, columns)``

    Returns
    -------
    ``(photons, 2)``: row and column; an integer is the centre of a pixel
    """
    flat = np.flatnonzero(counts)
    pixels = np.repeat(flat, counts.ravel()[flat])
    centers = np.stack(np.divmod(pixels, counts.shape[1]), axis=-1)
    return (centers + rng.uniform(-0.5, 0.5, centers.shape)).astype(np.float32)


def share_charge(
    photons: Array, shape: tuple[int, int], cloud: float
) -> npt.NDArray[np.float32]:
    """Spread photons over the pixels that their charge clouds touch.

    A cloud is a round Gaussian; a pixel gets the part of it that lies inside, and
    what falls beyond the nine nearest pixels or the edge is lost.

    Parameters
    ----------
    photons : ``(photons, 2)``, row and column
    shape : rows and columns
    cloud : sigma of the cloud [pixels]

    Returns
    -------
    ``shape``, in photons
    """
    from scipy.special import ndtr

    # A photon on the very edge is in the last pixel, not in one beyond.
    pixel = np.clip(np.rint(photons).astype(np.int64), 0, np.array(shape) - 1)
    edges = np.array([-1.5, -0.5, 0.5, 1.5])
    inside = np.diff(ndtr((edges - (photons - pixel)[..., None]) / cloud), axis=-1)
    image = np.zeros((shape[0] + 2) * (shape[1] + 2))
    for i in range(3):
        for j in range(3):
            index = (pixel[:, 0] + i) * (shape[1] + 2) + pixel[:, 1] + j
            image += np.bincount(
                index, inside[:, 0, i] * inside[:, 1, j], minlength=image.size
            )
    framed = image.reshape(shape[0] + 2, shape[1] + 2)
    return framed[1:-1, 1:-1].astype(np.float32)


def common_mode(
    rng: np.random.Generator,
    shape: tuple[int, int],
    *,
    bank: int,
    row_sigma: float,
    column_sigma: float,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Draw the offsets of one shot, common to the pixels of a row or a column.

    Parameters
    ----------
    shape : rows and columns
    bank : columns that are read out together; each row of each bank has an offset
    row_sigma, column_sigma : standard deviations [ADU]

    Returns
    -------
    Offsets of the rows, ``(rows, banks)``, and of the columns of the upper and the
    lower half, ``(2, columns)`` [ADU]
    """
    rows = rng.normal(0, row_sigma, (shape[0], shape[1] // bank))
    columns = rng.normal(0, column_sigma, (2, shape[1]))
    return rows.astype(np.float32), columns.astype(np.float32)


def edge_profile(columns: int, position: float, depth: float, width: float) -> Floats:
    """Return the transmission along a row: 1 before the edge, 1 - depth behind it.

    Parameters
    ----------
    columns : number of pixels
    position : of the middle of the edge [pixels]
    depth : relative drop
    width : of the edge, sigma [pixels]
    """
    from scipy.special import ndtr

    return np.asarray(1 - depth * ndtr((np.arange(columns) - position) / width))


@dataclass(frozen=True)
class Defects:
    """Bad pixels: boolean arrays of the shape of a frame."""

    dead: npt.NDArray[np.bool_]
    hot: npt.NDArray[np.bool_]
    noisy: npt.NDArray[np.bool_]


def draw_defects(rng: np.random.Generator, shape: tuple[int, ...]) -> Defects:
    """Draw bad pixels, no pixel twice: of 10 000 pixels, 2 of each of the kinds."""
    size = int(np.prod(shape))
    each = max(3, size // 5000)
    chosen = rng.choice(size, 3 * each, replace=False)
    masks = np.zeros((3, size), dtype=bool)
    for mask, pixels in zip(masks, chosen.reshape(3, each), strict=True):
        mask[pixels] = True
    dead, hot, noisy = masks.reshape(3, *shape)
    return Defects(dead, hot, noisy)
