"""What a fitted model's history tells."""

from ._diagnosis import Finding
from ._reading import diagnose

__all__ = ["Finding", "diagnose"]
