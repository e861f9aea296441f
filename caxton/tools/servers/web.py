"""HTTP requests to hosts of a list, which never reach a private network by whatever name it goes.

A name is resolved once for each connection, every address it has is looked at, and the connection is made to one of
these: a name server that answers differently the second time (DNS rebinding) is never asked a second time. Redirects
are followed here, and each is a new request under the same rules. Proxies from the environment are not used; they
would resolve names for us.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Iterable, Mapping
from urllib.parse import urljoin

import httpcore2
import msgspec

from caxton.tools.host_names import HostNames, host_of

REDIRECTS = 5
"""Followed at most, one after the other."""
AGENT = "caxton"

Resolve = Callable[[str, int], Awaitable[list[str]]]
"""The addresses of a host, as text."""


class WebFault(Exception):
    """A request that was not made or not answered; the message says why, for its author."""


class WebRules(msgspec.Struct, frozen=True, kw_only=True):
    """`max_bytes` bounds the body of an answer, `timeout` (seconds) a request with all its redirects."""

    hosts: tuple[str, ...]
    private: bool = False
    max_bytes: int = 1_048_576
    timeout: float = 30.0


class WebAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """`url` is where the answer came from in the end; `body` is cut off at the limit where `truncated`."""

    url: str
    status: int
    media_type: str
    charset: str
    body: bytes
    truncated: bool


async def resolved(host: str, port: int) -> list[str]:
    """The addresses of a host, as the system gives them. OSError where it has none."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def is_private(address: str) -> bool:
    """Whether an address is not one of the public internet, or stands for one that is not (RFC 6890 and kin)."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        # IPv4 addresses in the clothes of IPv6: mapped (RFC 4291), 6to4 (3056), Teredo (4380), translated (6052).
        inner = [ip.ipv4_mapped, ip.sixtofour, *(ip.teredo or ())]
        if ip in _TRANSLATED or ip in _COMPATIBLE:
            inner.append(ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF))
        if any(one is not None and is_private(str(one)) for one in inner):
            return True
        if ip.ipv4_mapped is not None or ip in _TRANSLATED:
            return False
    return not ip.is_global or ip.is_multicast or ip.is_reserved or ip.is_unspecified


_TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")
_COMPATIBLE = ipaddress.IPv6Network("::/96")


class CheckedNetwork(httpcore2.AsyncNetworkBackend):
    """Connects to addresses it has looked at, and to no others."""

    def __init__(self, hosts: HostNames, private: bool, resolve: Resolve) -> None:
        self._hosts = hosts
        self._private = private
        self._resolve = resolve
        self._network = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        # Checked again here, by the name that is used: should somebody read the URL differently, nothing is lost.
        if host.lower().removesuffix(".") not in self._hosts:
            raise WebFault(f"The host {host!r} is not allowed.")
        try:
            addresses = await self._resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise WebFault(f"The host {host!r} has no address: {error}.") from error
        if not self._private and (inside := [one for one in addresses if is_private(one)]):
            raise WebFault(f"The host {host!r} is at {inside[0]}, a private address, and these are not allowed.")
        failure: Exception = WebFault(f"The host {host!r} has no address.")
        for address in addresses:
            try:
                return await self._network.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failure = error
        raise failure

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None
    ) -> httpcore2.AsyncNetworkStream:
        raise WebFault("Sockets of this machine cannot be reached.")

    async def sleep(self, seconds: float) -> None:
        await self._network.sleep(seconds)


class Web:
    """Makes requests by the rules it was given."""

    def __init__(self, rules: WebRules, resolve: Resolve = resolved) -> None:
        self._rules = rules
        self._hosts = HostNames(rules.hosts)
        self._network = CheckedNetwork(self._hosts, rules.private, resolve)

    async def request(self, method: str, url: str, headers: Mapping[str, str], body: bytes = b"") -> WebAnswer:
        """The answer to a request, after its redirects; WebFault where there is none to be had."""
        try:
            async with (
                asyncio.timeout(self._rules.timeout),
                httpcore2.AsyncConnectionPool(network_backend=self._network, max_keepalive_connections=0) as pool,
            ):
                for _ in range(REDIRECTS + 1):
                    answer, onward = await self._once(pool, method, url, headers, body)
                    if onward is None:
                        return answer
                    if answer.status == 303 or (answer.status in (301, 302) and method == "POST"):
                        method, body = "GET", b""
                    url = onward
        except TimeoutError:
            raise WebFault(f"{url!r} did not answer within {self._rules.timeout:g} s.") from None
        except (httpcore2.NetworkError, httpcore2.ProtocolError, httpcore2.TimeoutException) as error:
            raise WebFault(f"{url!r} cannot be reached: {str(error) or type(error).__name__}.") from error
        raise WebFault(f"There were more than {REDIRECTS} redirects; the last led to {url!r}.")

    async def _once(
        self, pool: httpcore2.AsyncConnectionPool, method: str, url: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[WebAnswer, str | None]:
        """One request: its answer, and where that sends us."""
        host = host_of(url) if "://" in url else ""
        if host not in self._hosts:
            allowed = ", ".join(self._rules.hosts) or "none"
            raise WebFault(f"{url!r} is not allowed. Write http:// or https://, and a host of these: {allowed}.")
        # No body twice as large as it came: what is compressed is not asked for.
        sent = {"Host": _authority(url), "User-Agent": AGENT, "Accept-Encoding": "identity", **headers}
        if body or method == "POST":
            sent["Content-Length"] = str(len(body))
        async with pool.stream(method, url, headers=list(sent.items()), content=body) as response:
            got = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
            if response.status in (301, 302, 303, 307, 308) and "location" in got:
                return _answer(url, response.status, got, b"", False), urljoin(url, got["location"])
            if got.get("content-encoding", "identity") != "identity":
                raise WebFault(f"{url!r} answered in an encoding that was not asked for: {got['content-encoding']!r}.")
            data = bytearray()
            async for chunk in response.aiter_stream():
                data += chunk
                if len(data) > self._rules.max_bytes:
                    break
        truncated = len(data) > self._rules.max_bytes
        return _answer(url, response.status, got, bytes(data[: self._rules.max_bytes]), truncated), None


def _authority(url: str) -> str:
    return url.partition("://")[2].partition("/")[0].partition("?")[0].partition("#")[0]


def _answer(url: str, status: int, headers: Mapping[str, str], body: bytes, truncated: bool) -> WebAnswer:
    media_type, _, parameters = headers.get("content-type", "application/octet-stream").partition(";")
    charset = "utf-8"
    for parameter in parameters.split(";"):
        name, _, value = parameter.strip().partition("=")
        if name.lower() == "charset" and value:
            charset = value.strip('"')
    return WebAnswer(
        url=url,
        status=status,
        media_type=media_type.strip().lower(),
        charset=charset,
        body=body,
        truncated=truncated,
    )
