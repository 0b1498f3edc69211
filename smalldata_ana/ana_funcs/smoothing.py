"""Moving averages of lines in which samples may be missing."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Lines = npt.NDArray[np.float64]


def moving_average(values: Lines, use: npt.NDArray[np.bool_], length: int) -> Lines:
    """Return the average over the samples around each sample that are used.

    Parameters
    ----------
    values : (…, samples), finite
    use : bool, the same shape
    length : of the window, odd [samples]; at the ends it is what there is of it

    Returns
    -------
    float64, the same shape; NaN where no sample of the window is used.
    """
    from scipy.ndimage import uniform_filter1d

    if length == 1:
        return np.where(use, values, np.nan)

    def filtered(line: Lines) -> Lines:
        result: Lines = uniform_filter1d(line, length, axis=-1, mode="constant")
        return result

    weight = filtered(use.astype(np.float64))
    total = filtered(np.where(use, values, 0.0))
    # Less than half a sample of weight is the rounding of the running sum.
    seen = weight * length > 0.5
    return np.divide(total, weight, out=np.full_like(total, np.nan), where=seen)
