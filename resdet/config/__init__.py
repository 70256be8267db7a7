"""Run files: their options (``schema``) and their reading (``load``)."""

from resdet.config.chain import find_config
from resdet.config.load import config_from_dict, config_to_dict, config_to_yaml, load_config

__all__ = ["config_from_dict", "config_to_dict", "config_to_yaml", "find_config", "load_config"]
