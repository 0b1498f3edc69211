"""How something was chosen on an image, with what tells that image from others."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from smalldata_ana.average_image import AverageImage
from smalldata_ana.parameters.provenance import made_on

_DIGITS = 6


def made_on_image(
    how: str, session: Any, average: AverageImage | None, **more: Any
) -> dict[str, Any]:
    """Return the provenance of something that is chosen on an image now.

    Parameters
    ----------
    how : what made it, e.g. ``SelectRegion``
    session : the session: its run
    average : the average image that it was chosen on, or None
    more : what else is known

    Notes
    -----
    ``image_sha256`` is the checksum of the image's numbers in C order, ``statistics``
    holds mean and percentiles 50 and 99 of its good pixels in the unit of the image,
    and the share of the others (``masked``).
    """
    if average is not None:
        more |= {
            "image_sha256": hashlib.sha256(average.data.tobytes()).hexdigest(),
            "statistics": _statistics(average),
        }
    return made_on(how, session.run.number, average, **more)


def _statistics(average: AverageImage) -> dict[str, float]:
    """Return a few numbers of an image; without a good pixel, only that."""
    good = average.good & np.isfinite(average.data)
    found = {"masked": 1 - float(good.mean())}
    if good.any():
        values = average.data[good]
        middle, high = np.percentile(values, (50, 99))
        mean = float(values.mean(dtype=np.float64))
        found |= {"mean": mean, "p50": float(middle), "p99": float(high)}
    return {key: float(f"{value:.{_DIGITS}g}") for key, value in found.items()}
