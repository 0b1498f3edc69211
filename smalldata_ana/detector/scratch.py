"""Arrays that a thread uses again from one event to the next."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import numpy.typing as npt

_local = threading.local()


def scratch(name: str, size: int, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Return an array of this thread, with any content.

    Parameters
    ----------
    name : of its purpose; two purposes at once need two names
    size, dtype : of the array, which has one dimension
    """
    array: npt.NDArray[Any] | None = getattr(_local, name, None)
    if array is None or array.size < size or array.dtype != dtype:
        array = np.empty(size, dtype)
        setattr(_local, name, array)
    return array[:size]
