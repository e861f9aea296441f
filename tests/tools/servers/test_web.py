"""Web requests: hosts that are not listed and addresses that are private are never reached, by whatever detour."""

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import httpcore2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caxton.tools.servers.web import Web, WebFault, WebRules, is_private

PIXEL = b"\x89PNG\r\n\x1a\n"


class Site(BaseHTTPRequestHandler):
    """A small site; what it was asked is noted on the server."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.asked.append(f"{self.command} {self.headers['Host']}{self.path}")
        where, query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
        match where:
            case "/text":
                self.reply(200, "grüezi".encode("latin-1"), "text/plain; charset=latin-1")
            case "/json":
                self.reply(200, b'{"a": 1}', "application/json")
            case "/image":
                self.reply(200, PIXEL, "image/png")
            case "/binary":
                self.reply(200, b"\xff" * 10, "application/octet-stream")
            case "/missing":
                self.reply(404, b"no such page", "text/html")
            case "/to":
                self.reply(int(query.get("status", ["302"])[0]), b"", "text/plain", Location=query["url"][0])
            case "/loop":
                self.reply(302, b"", "text/plain", Location="/loop")
            case "/packed":
                self.reply(200, b"\x1f\x8b", "text/plain", **{"Content-Encoding": "gzip"})
            case "/endless":
                self.send_response(200)
                self.send_header("Content-Type", "text/plain")
                self.send_header("Connection", "close")
                self.end_headers()
                try:
                    while not self.server.closing.is_set():
                        self.wfile.write(b"x" * 65_536)
                except OSError:
                    return
            case "/slow":
                self.server.closing.wait(20)
                self.close_connection = True

    def do_POST(self) -> None:
        self.server.asked.append(f"POST {self.headers['Content-Type']}{self.path}")
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path.startswith("/to"):
            query = parse_qs(urlsplit(self.path).query)
            self.reply(int(query["status"][0]), b"", "text/plain", Location=query["url"][0])
        else:
            self.reply(201, body, "text/plain")

    def reply(self, status: int, body: bytes, media_type: str, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": media_type, "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def site() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    server.asked, server.closing = [], threading.Event()
    serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    serving.start()
    yield server
    server.closing.set()
    server.shutdown()
    serving.join()
    server.server_close()


def at(site: ThreadingHTTPServer, path: str, host: str = "127.0.0.1") -> str:
    return f"http://{host}:{site.server_port}{path}"


def web(*hosts: str, addresses: dict[str, list[str]] | None = None, private: bool = True, **rules: object) -> Web:
    """`addresses` answers for the name server; a list that is used up begins anew."""
    asked: dict[str, int] = {}

    async def resolve(host: str, port: int) -> list[str]:
        if addresses is None:
            return [host]
        turn = asked[host] = asked.get(host, -1) + 1
        known = addresses[host]
        return [known[turn % len(known)]]

    return Web(WebRules(hosts=hosts, private=private, **rules), resolve)


async def test_an_answer_comes_with_its_status_and_type(site):
    answer = await web("127.0.0.1").request("GET", at(site, "/text"), {})
    assert (answer.status, answer.media_type, answer.charset) == (200, "text/plain", "latin-1")
    assert answer.body.decode(answer.charset) == "grüezi"
    assert (await web("127.0.0.1").request("GET", at(site, "/missing"), {})).status == 404


async def test_a_body_is_posted(site):
    answer = await web("127.0.0.1").request("POST", at(site, "/x"), {"Content-Type": "text/x"}, b"hello")
    assert (answer.status, answer.body) == (201, b"hello")
    assert site.asked == ["POST text/x/x"]


async def test_the_host_is_named_although_its_address_is_called(site):
    asking = web("shop.example", addresses={"shop.example": ["127.0.0.1"]})
    await asking.request("GET", at(site, "/text", "shop.example"), {})
    assert site.asked == [f"GET shop.example:{site.server_port}/text"]


@pytest.mark.parametrize(
    "url",
    [
        "http://other.example/",
        "https://other.example/",
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
        "127.0.0.1/text",
        "//127.0.0.1/text",
        "http://127.0.0.1@other.example/",
        "http://user:pass@127.0.0.1/",
        "http://other.example#@127.0.0.1/",
        "http://other.example\\@127.0.0.1/",
        "http://127.0.0.1.other.example/",
        "http://127.0.0.1\n.other.example/",
        "http://①27.0.0.1/",
        "gopher://127.0.0.1/",
        "javascript:alert(1)",
        "",
    ],
)
async def test_what_is_not_listed_is_not_asked(site, url):
    with pytest.raises(WebFault, match="not allowed"):
        await web("127.0.0.1").request("GET", url, {})
    assert site.asked == []


async def test_with_no_hosts_nothing_is_asked(site):
    with pytest.raises(WebFault, match="not allowed"):
        await web().request("GET", at(site, "/text"), {})


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "0177.0.0.1", "127.1", "[::1]"])
async def test_this_machine_is_private_by_all_its_names(site, host):
    asking = Web(WebRules(hosts=("*",)))
    with pytest.raises(WebFault, match=r"private|no address"):
        await asking.request("GET", at(site, "/text", host), {})
    assert site.asked == []


async def test_a_public_name_of_a_private_address_is_refused(site):
    asking = web("nice.example", addresses={"nice.example": ["127.0.0.1"]}, private=False)
    with pytest.raises(WebFault, match=r"nice\.example.*private"):
        await asking.request("GET", at(site, "/text", "nice.example"), {})
    assert site.asked == []


async def test_a_name_that_has_a_private_address_among_public_ones_is_refused(site):
    async def both(host: str, port: int) -> list[str]:
        return ["93.184.216.34", "10.0.0.1"]

    with pytest.raises(WebFault, match=r"10\.0\.0\.1"):
        await Web(WebRules(hosts=("*",)), both).request("GET", "http://mixed.example/", {})


async def test_a_name_server_that_changes_its_mind_is_not_asked_a_second_time(monkeypatch):
    """DNS rebinding: a public address for the check, a private one for the connection."""
    asked: list[str] = []
    called: list[str] = []

    async def rebinding(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["93.184.216.34"] if len(asked) == 1 else ["127.0.0.1"]

    async def connect(self: object, host: str, *_: object) -> None:
        called.append(host)
        raise httpcore2.ConnectError("not in tests")

    monkeypatch.setattr(httpcore2.AnyIOBackend, "connect_tcp", connect)
    with pytest.raises(WebFault, match="not in tests"):
        await Web(WebRules(hosts=("*",)), rebinding).request("GET", "http://rebind.example/", {})
    assert asked == ["rebind.example"]
    assert called == ["93.184.216.34"]


async def test_a_redirect_is_followed_where_it_may_be(site):
    answer = await web("127.0.0.1").request("GET", at(site, "/to?url=/json"), {})
    assert (answer.status, answer.body, answer.url) == (200, b'{"a": 1}', at(site, "/json"))


@pytest.mark.parametrize(
    "onward", ["http://other.example/", "file:///etc/passwd", "//other.example/x", "https://user@127.0.0.1/"]
)
async def test_a_redirect_to_what_is_not_listed_is_not_followed(site, onward):
    with pytest.raises(WebFault, match="not allowed"):
        await web("127.0.0.1").request("GET", at(site, f"/to?url={onward}"), {})
    assert len(site.asked) == 1


async def test_a_redirect_to_a_private_address_is_not_followed(site, monkeypatch):
    # This machine counts as public here, for there is no other to be asked in tests.
    monkeypatch.setattr("caxton.tools.servers.web.is_private", lambda address: address.startswith("10."))
    known = {"public.example": ["127.0.0.1"], "inner.example": ["10.0.0.7"]}
    asking = web("*.example", addresses=known, private=False)
    with pytest.raises(WebFault, match=r"10\.0\.0\.7"):
        await asking.request("GET", at(site, "/to?url=http://inner.example/", "public.example"), {})
    assert len(site.asked) == 1


@pytest.mark.parametrize(("status", "method"), [(301, "GET"), (302, "GET"), (303, "GET"), (307, "POST"), (308, "POST")])
async def test_a_redirected_post_stays_one_only_where_the_status_says_so(site, status, method):
    await web("127.0.0.1").request("POST", at(site, f"/to?status={status}&url=/json"), {"Content-Type": "a/b"}, b"x")
    assert site.asked[-1].startswith(method)
    assert site.asked[-1].endswith("/json")


async def test_redirects_in_a_circle_end(site):
    with pytest.raises(WebFault, match="more than 5 redirects"):
        await web("127.0.0.1").request("GET", at(site, "/loop"), {})
    assert len(site.asked) == 6


async def test_an_answer_without_end_is_cut_off(site):
    answer = await web("127.0.0.1", max_bytes=100_000).request("GET", at(site, "/endless"), {})
    assert (len(answer.body), answer.truncated) == (100_000, True)


async def test_an_answer_that_does_not_come_is_given_up(site):
    began = time.monotonic()
    with pytest.raises(WebFault, match=r"within 0\.3 s"):
        await web("127.0.0.1", timeout=0.3).request("GET", at(site, "/slow"), {})
    assert time.monotonic() - began < 3


async def test_an_answer_in_an_encoding_that_nobody_asked_for_is_refused(site):
    with pytest.raises(WebFault, match="gzip"):
        await web("127.0.0.1").request("GET", at(site, "/packed"), {})


async def test_a_host_that_is_not_there_is_told(site):
    with pytest.raises(WebFault, match="cannot be reached"):
        await web("127.0.0.1").request("GET", "http://127.0.0.1:1/", {})


PRIVATE = [
    *("127.0.0.1", "127.255.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0", "100.64.0.1"),
    *("224.0.0.1", "239.1.1.1", "255.255.255.255", "240.0.0.1", "192.0.2.1", "198.18.0.1", "::", "::1", "fe80::1"),
    *("fe80::1%eth0", "fc00::1", "fd12::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1"),
    *("2002:7f00:1::", "2002:a00:1::", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2001:db8::1"),
    "2001:0:7f00:1:0:0:0:0",
]


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_are_known_in_all_their_clothes(address):
    assert is_private(address)


@pytest.mark.parametrize(
    "address", ["93.184.216.34", "8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_public_addresses_are_known(address):
    assert not is_private(address)


@given(st.ip_addresses(v=4))
def test_an_address_is_as_private_in_ipv6_as_it_is_itself(address):
    assert is_private(f"::ffff:{address}") == is_private(str(address))
    assert is_private(f"64:ff9b::{int(address) >> 16:x}:{int(address) & 0xFFFF:x}") == is_private(str(address))


async def test_the_server_gets_and_posts(site, server):
    ask = server("http", "--allow-host", "127.0.0.1", "--allow-private")
    result = await ask("get", url=at(site, "/text"))
    assert result.text() == f"HTTP 200 from {at(site, '/text')} (text/plain)\ngrüezi"
    assert "HTTP 201" in (await ask("post", url=at(site, "/x"), body="{}")).text()
    assert (await ask("get", url=at(site, "/image"))).content[1].media_type == "image/png"
    assert "10 bytes that are no text" in (await ask("get", url=at(site, "/binary"))).text()
    refused = await ask("get", url=at(site, "/text", "localhost"))
    assert refused.failed
    assert "host of these: 127.0.0.1" in refused.text()
    forged = await ask("get", url=at(site, "/text"), accept="a\r\nX-Evil: 1")
    assert forged.failed


async def test_the_server_reaches_no_private_address_unless_told(site, server):
    ask = server("http", "--allow-host", "*")
    result = await ask("get", url=at(site, "/text"))
    assert result.failed
    assert "private" in result.text()
    assert site.asked == []
