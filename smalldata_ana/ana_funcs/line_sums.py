"""Sums along one axis of an image over the pixels that count."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from smalldata_ana.detector.protocol import Array


def line_sums(
    image: Array, good: npt.NDArray[np.bool_]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Add an image up along its middle axis.

    Parameters
    ----------
    image : float32 or float64, (before, n, after); give it with an axis of length 1 for
        what has no axis before or after
    good : bool, the same shape, contiguous; True = use

    Returns
    -------
    The sum and the number of the pixels that are good and finite, (before, after).
    """
    from smalldata_ana.ana_funcs.projection_kernels import sum_last, sum_middle

    before, n, after = image.shape
    sums = np.zeros((before, after))
    counts = np.zeros((before, after), np.int64)
    image = np.ascontiguousarray(image)
    if after == 1:
        sum_last(image.reshape(before, n), good.reshape(before, n), sums, counts)
    else:
        sum_middle(image, good, sums, counts)
    return sums, counts
