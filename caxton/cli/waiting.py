"""Something to look at while one waits."""

import sys
from contextlib import AbstractContextManager, nullcontext

from caxton.cli.session import Session


def spinner(session: Session, what: str) -> AbstractContextManager[object]:
    """A spinner on a terminal for the block; nothing elsewhere, and then nothing is imported for it."""
    if session.json or not sys.stderr.isatty():
        return nullcontext()
    from caxton.cli.tables import console

    return console(session, err=True).status(what)
