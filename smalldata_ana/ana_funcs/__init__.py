"""The analysis functions: what is computed of each image.

Importing this package registers the parameters of every function, so that parameter
files may hold them.
"""

from smalldata_ana.ana_funcs.base import DetObjectFunc
from smalldata_ana.ana_funcs.roi import ROIFunc

__all__ = ["DetObjectFunc", "ROIFunc"]
