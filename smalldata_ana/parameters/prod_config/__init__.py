"""Parameters as Python: upstream's ``prod_config_<hutch>.py``, written and read."""
