"""A simulated experiment, written as real xtc2 files.

`experiment` makes the three runs of xppsim01; `run_writer.make_run` makes any run.
"""
