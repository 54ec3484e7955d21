"""What the pages in docs/ are made with."""

from gbar.scripts.docs.reference import filled

__all__ = ["filled"]
