"""Reads lengths of time as people write them: "30min", "1h30min"."""

from __future__ import annotations

import re

from resdet.errors import ConfigError

_UNITS = {"d": 86400, "h": 3600, "min": 60, "m": 60, "s": 1}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(d|h|min|m|s)")
_LONGEST = 366 * 86400.0


def parse_budget(text: str) -> float:
    """The seconds that ``text`` means: numbers with d, h, min or s, one after the other; a bare number is minutes.

    Raises:
        ConfigError: any other text, less than 10 seconds or more than a year.
    """
    words = text.strip().lower()
    parts = _PART.findall(words)
    if not parts or _PART.sub("", words).strip():
        try:
            seconds = 60 * float(words)
        except ValueError:
            raise ConfigError(f"--budget must be a time such as 30min, 2h or 1h30min, got {text!r:.80}") from None
    else:
        seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if not 10 <= seconds <= _LONGEST:
        raise ConfigError(f"--budget must be between 10s and 366d, got {text!r:.80}")
    return seconds
