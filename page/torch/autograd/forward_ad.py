"""Forward mode, which is never on here."""

__all__ = ["_current_level"]

_current_level = -1
