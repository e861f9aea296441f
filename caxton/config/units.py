"""Durations and sizes as people write them."""

import math
import re

DURATION = re.compile(r"(?=.)(?:([0-9]+)d)?(?:([0-9]+)h)?(?:([0-9]+)m)?(?:([0-9]+(?:\.[0-9]+)?)s)?(?:([0-9]+)ms)?")
SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*((?:[KMGT]i?)?)B?", re.IGNORECASE)
POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}


def read_duration(value: object) -> float:
    """Seconds, from "90d", "1h", "2m", "1m30s", "0.5s", "500ms" or a number of seconds; ValueError."""
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    if isinstance(value, str) and (match := DURATION.fullmatch(value.strip())):
        days, hours, minutes, seconds, milliseconds = (float(part or 0) for part in match.groups())
        return days * 86_400 + hours * 3600 + minutes * 60 + seconds + milliseconds / 1000
    raise ValueError("a duration is written like 1m30s")


def read_size(value: object) -> int:
    """Bytes, from "512MB" (powers of 1000), "1GiB" (powers of 1024) or a number of bytes; ValueError."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and (match := SIZE.fullmatch(value.strip())):
        prefix = match[2].upper()
        base = 1024 if prefix.endswith("I") else 1000
        size = float(match[1]) * float(base ** POWERS[prefix.removesuffix("I")])
        if math.isfinite(size):
            return int(size)
    raise ValueError("a size is written like 512MB")
