"""Lists of hosts, and the host that a URL leads to."""

import re
from collections.abc import Iterable
from urllib.parse import urlsplit

_UNFIT = re.compile(r"[\s\\\x00-\x1f\x7f-\U0010ffff]")
"""What parsers of URLs disagree on, and may be deceived with. Domains in other scripts have an ASCII form."""
_HOST = re.compile(r"[a-z0-9_.:-]+")


def host_of(text: str) -> str:
    """The host of an http(s) URL or a bare host name, in lower case; empty where it is not beyond doubt."""
    if _UNFIT.search(text):
        return ""
    try:
        parts = urlsplit(text if "://" in text else f"https://{text}")
        host = (parts.hostname or "").removesuffix(".")
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https") or "@" in parts.netloc:
        return ""
    return host if _HOST.fullmatch(host) else ""


class HostNames:
    """Hosts by name. `*.example.com` has all below `example.com`, not itself; `*` has every one."""

    def __init__(self, names: Iterable[str]) -> None:
        lowered = [name.lower() for name in names]
        self._all = "*" in lowered
        self._names = frozenset(lowered)
        self._domains = tuple(name[1:] for name in lowered if name.startswith("*."))

    def __contains__(self, host: str) -> bool:
        """Whether a host as `host_of` gives it is in the list; the empty one never is."""
        return bool(host) and (self._all or host in self._names or host.endswith(self._domains or ("\0",)))
