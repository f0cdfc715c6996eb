"""The release that this is, also in pyproject.toml."""

VERSION = "0.1.0"
