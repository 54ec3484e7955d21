"""What the pages in docs/ are made with."""

from scripts.docs.reference import filled

__all__ = ["filled"]
