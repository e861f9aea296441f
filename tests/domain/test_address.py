import pytest
from hypothesis import given
from hypothesis import strategies as st

from caxton.domain.address import Address, AddressKind, capability_address, group_address, read_address


@pytest.mark.parametrize(
    ("text", "kind", "name"),
    [
        ("researcher", AddressKind.AGENT, "researcher"),
        ("capability:charts", AddressKind.CAPABILITY, "charts"),
        ("capability:charts:v2", AddressKind.CAPABILITY, "charts:v2"),
        ("group:a:b", AddressKind.GROUP, "a:b"),
        ("all", AddressKind.ALL, ""),
        ("capability:", AddressKind.AGENT, "capability:"),
        ("someone:else", AddressKind.AGENT, "someone:else"),
        ("", AddressKind.AGENT, ""),
    ],
)
def test_an_address_is_read_by_its_prefix(text, kind, name):
    assert read_address(text) == Address(kind, name)


@given(st.text(min_size=1))
def test_what_is_written_is_read_again(name):
    assert read_address(capability_address(name)) == Address(AddressKind.CAPABILITY, name)
    assert read_address(group_address(name)) == Address(AddressKind.GROUP, name)


def test_one_receiver_is_an_agent_or_a_capability():
    assert [kind for kind in AddressKind if Address(kind, "x").is_one] == [AddressKind.AGENT, AddressKind.CAPABILITY]
