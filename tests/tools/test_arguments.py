"""Rules for arguments: paths and hosts that are not beyond doubt are refused."""

import posixpath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caxton.domain.tool_settings import ArgumentRule
from caxton.tools.arguments import CompiledRule
from caxton.tools.host_names import HostNames, host_of


def below(*prefixes: str) -> CompiledRule:
    return CompiledRule(ArgumentRule(tool="files.*", argument="path", path_prefixes=prefixes))


def at(*hosts: str) -> CompiledRule:
    return CompiledRule(ArgumentRule(tool="http.*", argument="url", hosts=hosts))


@pytest.mark.parametrize(
    "path", ["reports", "reports/", "reports/a.txt", "./reports/a", "reports//a", "reports/x/../a", "reports/.."[:7]]
)
def test_paths_below_a_prefix_are_taken(path):
    assert below("reports").objection({"path": path}) == ""


@pytest.mark.parametrize(
    "path",
    [
        *("", ".", "..", "/", "secret", "reportsx", "reports.bak/a", "../reports/a", "reports/../secret", "/reports/a"),
        *("reports/../../reports", "reports\\..\\secret", "~/reports", "~", "C:reports", "C:\\reports", "Reports/a"),
        *("reports/a\0", "reports/x/../../y", "//reports/a", "file:///reports/a", "\\\\host\\reports"),
    ],
)
def test_paths_elsewhere_are_refused(path):
    assert below("reports").objection({"path": path}) != ""


def test_absolute_prefixes_are_for_absolute_paths():
    assert below("/srv/data").objection({"path": "/srv/data/a"}) == ""
    assert below("/srv/data").objection({"path": "/srv/database"}) != ""
    assert below("/srv/data").objection({"path": "/srv/data/../x"}) != ""
    assert below("/").objection({"path": "/etc/passwd"}) == ""


def test_a_dot_stands_for_all_relative_paths():
    assert below(".").objection({"path": "a/b"}) == ""
    assert below(".").objection({"path": "a/../../b"}) != ""
    assert below(".").objection({"path": "/a"}) != ""


@pytest.mark.parametrize(
    "arguments", [{}, {"path": None}, {"path": 3}, {"path": ["reports/a", 3]}, {"Path": "reports"}]
)
def test_a_call_without_a_path_is_refused(arguments):
    assert below("reports").objection(arguments) != ""


def test_every_path_of_a_list_counts():
    assert below("reports").objection({"path": ["reports/a", "reports/b"]}) == ""
    assert "secret" in below("reports").objection({"path": ["reports/a", "secret"]})


def test_arguments_may_lie_deeper():
    rule = CompiledRule(ArgumentRule(tool="x.*", argument="options.path", path_prefixes=("a",)))
    assert rule.objection({"options": {"path": "a/b"}}) == ""
    assert rule.objection({"options": {"path": "b"}}) != ""
    assert rule.objection({"options": "a"}) != ""
    assert rule.objection({"options.path": "a"}) != ""


@given(st.lists(st.sampled_from(["a", "b", "..", ".", "", "reports", "~", "C:"]), max_size=8).map("/".join))
def test_no_path_that_is_taken_leads_out(path):
    if below("reports").objection({"path": path}) == "":
        real = posixpath.normpath(posixpath.join("/top", path))
        assert real == "/top/reports" or real.startswith("/top/reports/")


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://example.com/x", "example.com"),
        ("http://Example.COM:8080", "example.com"),
        ("https://example.com./", "example.com"),
        ("example.com", "example.com"),
        ("example.com:80/x", "example.com"),
        ("http://[::1]:80/", "::1"),
        ("http://127.0.0.1", "127.0.0.1"),
        ("ftp://example.com", ""),
        ("file:///etc/passwd", ""),
        ("https://user@example.com", ""),
        ("https://evil.com\\@example.com", ""),
        ("https://example.com\n.evil.com", ""),
        ("https://exämple.com", ""),
        ("https://", ""),
        ("http://[::1", ""),
        ("", ""),
        ("https://example.com%2eevil.com", ""),
    ],
)
def test_a_host_is_read_only_where_nobody_could_read_another(url, host):
    assert host_of(url) == host


@pytest.mark.parametrize(
    ("hosts", "host", "listed"),
    [
        (("example.com",), "example.com", True),
        (("Example.com",), "example.com", True),
        (("example.com",), "www.example.com", False),
        (("*.example.com",), "www.example.com", True),
        (("*.example.com",), "example.com", False),
        (("*.example.com",), "badexample.com", False),
        (("*",), "anything.org", True),
        (("*",), "", False),
        ((), "example.com", False),
        ((), "", False),
    ],
)
def test_hosts_are_listed_by_name_or_by_domain(hosts, host, listed):
    assert (host in HostNames(hosts)) is listed


def test_urls_are_bound_to_hosts():
    assert at("api.example.com").objection({"url": "https://api.example.com/v1"}) == ""
    assert at("api.example.com").objection({"url": "https://api.example.com.evil.org/"}) != ""
    assert at("api.example.com").objection({"url": "https://api.example.com@evil.org/"}) != ""
    assert at().objection({"url": "https://api.example.com"}) != ""
