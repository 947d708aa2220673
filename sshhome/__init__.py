"""The front door of a smart house: whitelisted, privilege-checked orders over SSH."""

__version__ = "0.1.0"
