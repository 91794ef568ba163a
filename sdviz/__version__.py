"""The version of sdviz, without importing anything of it."""

__version__ = "0.2.0"
