"""Text of others, as a terminal may be shown it."""

import re

OBEYED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""What a terminal obeys instead of showing, but for line ends and tabs, and what turns the direction of writing."""


def harmless(text: str) -> str:
    """The text, a replacement character for each of those: models and servers say what others made them say."""
    return OBEYED.sub("\N{REPLACEMENT CHARACTER}", text)
