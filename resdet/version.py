"""The version of the package, which every floor may name."""

__version__ = "0.1.0"
