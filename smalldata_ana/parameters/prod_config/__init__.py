"""Parameters as Python: upstream's ``prod_config_<hutch>.py``, written and read."""

from smalldata_ana.parameters.prod_config.config import config_file, resolved_of_config

__all__ = ["config_file", "resolved_of_config"]
