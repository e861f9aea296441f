"""What may have been meant by a word that is not known."""

from collections.abc import Iterable
from itertools import islice

LONGEST, MOST = 100, 1000
"""Characters of the word, and known words, that are looked at: comparing takes time, and words come from anybody."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The hint that names the nearest of the known words, whatever their case; empty where none is near."""
    found = nearest(word, known)
    return f"Did you mean {found!r}?" if found else ""


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The nearest of the known words; None where none is near."""
    import difflib

    by_folded = {name.casefold(): name for name in islice(known, MOST)}
    found = difflib.get_close_matches(word[:LONGEST].casefold(), by_folded, n=1, cutoff=0.6)
    return by_folded[found[0]] if found else None
