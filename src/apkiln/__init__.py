"""apkiln makes Linux packages, the repositories that carry them and minimal images out of them, with every byte accounted for."""

__version__ = "0.1.0"
