"""The version's one home: the package, its metadata, modules and `tmebox cc --version` take it from here."""

__version__ = "0.1.0"
