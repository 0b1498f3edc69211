"""Arrays that a caller gives to be filled."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from smalldata_ana.errors import ParameterError


def check_output(out: npt.NDArray[Any], shape: tuple[int, ...]) -> None:
    """Check that an image can be written into an array.

    Raises
    ------
    ParameterError
        if it is not a contiguous float32 array of this shape
    """
    if out.shape == shape and out.dtype == np.float32 and out.flags.c_contiguous:
        return
    raise ParameterError(
        f"out must be a contiguous float32 array of {shape}, not {out.shape} "
        f"{out.dtype}"
    )
