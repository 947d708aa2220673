"""An address or what a person types becomes the source that is counted and refused."""

import contextlib
import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sshhome.errors import BadArguments
from sshhome.source import Network, address_of, covering, origin_named, origin_of, source_of


@pytest.mark.parametrize(
    ("address", "source", "wide"),
    [
        ("203.0.113.9", "203.0.113.9", ""),
        ("::ffff:203.0.113.9", "203.0.113.9", ""),
        ("::ffff:cb00:7109", "203.0.113.9", ""),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64", "2001:db8:1::/56"),
        ("2001:DB8:1:2ff::", "2001:db8:1:2ff::/64", "2001:db8:1:200::/56"),
        ("fe80::1%eth0", "fe80::/64", "fe80::/56"),
        ("::1", "::/64", "::/56"),
        ("127.0.0.1", "127.0.0.1", ""),
    ],
)
def test_sources(address: str, source: str, wide: str) -> None:
    """A source is an IPv4 address, mapped or not, or the /64 of an IPv6 address without its zone, with a /56 around."""
    assert (source_of(address), origin_of(address).wide) == (source, wide)


@given(st.ip_addresses())
def test_every_address_is_in_its_source(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    """An address is within what is banned for it, and its source does not depend on how it is written."""
    folded = ipaddress.ip_address(address_of(str(address)))
    origin = origin_of(str(address))
    assert folded in ipaddress.ip_network(origin.source)
    assert not origin.wide or folded in ipaddress.ip_network(origin.wide)
    assert origin_of(address.exploded) == origin
    if isinstance(address, ipaddress.IPv4Address):
        assert source_of(f"::ffff:{address}") == source_of(str(address))


@pytest.mark.parametrize(
    ("text", "source", "wide"),
    [
        ("203.0.113.9", "203.0.113.9", ""),
        ("203.0.113.9/32", "203.0.113.9", ""),
        ("::ffff:203.0.113.9", "203.0.113.9", ""),
        ("2001:db8::5", "2001:db8::/64", "2001:db8::/56"),
        ("2001:db8:0:1::/64", "2001:db8:0:1::/64", "2001:db8::/56"),
        ("2001:db8:0:1::5/64", "2001:db8:0:1::/64", "2001:db8::/56"),
        ("2001:db8:0:1::/56", "2001:db8::/56", ""),
        ("fe80::1%eth0/64", "fe80::/64", "fe80::/56"),
    ],
)
def test_sources_by_name(text: str, source: str, wide: str) -> None:
    """A person names a source by an address in it, or by its prefix, of which there are three."""
    origin = origin_named(text)
    assert (origin.source, origin.wide, origin.is_wide) == (source, wide, source.endswith("/56"))


@pytest.mark.parametrize(
    "text",
    [
        *("", "home", "1.2.3", "/64", "1.2.3.4/33", "1.2.3.4/32/32", "x" * 5000),
        *("10.0.0.0/8", "10.0.0.0/24", "0.0.0.0/0", "2001:db8::/48", "2001:db8::1/128", "::/0"),
    ],
)
def test_what_is_no_source(text: str) -> None:
    """Any other network is refused, so that nobody shuts out half the world by mistake; so is what is no address."""
    with pytest.raises(BadArguments) as error:
        origin_named(text)
    assert len(error.value.message) < 120


@given(st.text() | st.from_regex(r"[0-9a-f:.]{1,20}(%\w{1,4})?(/[0-9]{1,3})?", fullmatch=True))
def test_any_text_is_a_source_or_bad_arguments(text: str) -> None:
    """Whatever is typed, it is a source, which is its own name too, or BadArguments."""
    with contextlib.suppress(BadArguments):
        origin = origin_named(text)
        assert origin_named(origin.source)[2:] == origin[2:]


NETWORKS: list[Network] = [ipaddress.ip_network(text) for text in ("10.0.0.0/8", "2001:db8::/32", "2001:db9::5/128")]


@pytest.mark.parametrize(
    ("text", "covered"),
    [
        ("10.1.2.3", "10.0.0.0/8"),
        ("::ffff:10.1.2.3", "10.0.0.0/8"),
        ("11.1.2.3", None),
        ("2001:db8:1::/56", "2001:db8::/32"),
        ("2001:db9::5", "2001:db9::5/128"),
        ("2001:db9::6", None),
        ("2001:db9::/64", None),
    ],
)
def test_covering(text: str, covered: str | None) -> None:
    """A network covers an address in it, and a source only with all its addresses."""
    found = covering(origin_named(text), NETWORKS)
    assert (found and str(found)) == covered
