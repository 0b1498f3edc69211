"""LCLS-II files, read through psana: the one home of psana in this package."""
