"""Writes lengths of time as people do."""

from __future__ import annotations


def spelled(seconds: float) -> str:
    """A length of time for people, to two digits or so: "45 seconds", "28 minutes", "3.5 hours"."""
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} minutes"
    return f"{seconds / 3600:.1f} hours" if seconds < 36 * 3600 else f"{seconds / 86400:.1f} days"
