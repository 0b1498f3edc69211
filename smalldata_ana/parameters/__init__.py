"""The contract between session and producer: the parameter file."""
