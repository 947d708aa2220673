"""A source is what is counted and refused together: an IPv4 address, or the /64 or /56 of an IPv6 address."""

import ipaddress
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from sshhome.errors import BadArguments

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

#: What one customer of an IPv6 provider gets: a /64 at least, and more often a /56 than not.
_NARROW, _WIDE = 64, 56


class Origin(NamedTuple):
    """Where somebody comes from: the first and last address meant, their source, and the /56 around that if any."""

    first: Address
    last: Address
    source: str
    wide: str = ""

    @property
    def is_wide(self) -> bool:
        """Whether it is a /56 itself."""
        return self.source.endswith(f"/{_WIDE}")


@lru_cache(maxsize=4096)
def origin_of(address: str) -> Origin:
    """Return the origin of an address; a zone is nothing, an IPv4 address mapped into IPv6 (RFC 4291 §2.5.5.2) is IPv4.

    Raises ValueError for what is no address.
    """
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv4Address):
        return Origin(found, found, str(found))
    if found.ipv4_mapped is not None:
        return Origin(found.ipv4_mapped, found.ipv4_mapped, str(found.ipv4_mapped))
    return Origin(found, found, _around(found, _NARROW), _around(found, _WIDE))


def origin_named(text: str) -> Origin:
    """Return what a person means by an address, or by a source as `ban list` shows it; raises BadArguments."""
    try:
        if "/" not in text:
            return origin_of(text)
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise BadArguments(f"'{text[:80]}' is no address") from None
    first, last = network.network_address, network.broadcast_address
    if first.version == 4 and network.prefixlen == 32:
        return Origin(first, last, str(first))
    if first.version == 6 and network.prefixlen == _NARROW:
        return Origin(first, last, str(network), _around(first, _WIDE))
    if first.version == 6 and network.prefixlen == _WIDE:
        return Origin(first, last, str(network))
    raise BadArguments(f"{network} is no source", f"an address is, or a /{_NARROW} or /{_WIDE} of IPv6")


def address_of(text: str) -> str:
    """Return an address as it is counted: without its zone, IPv4 mapped into IPv6 as IPv4; raises ValueError."""
    return str(origin_of(text).first)


def source_of(text: str) -> str:
    """Return the source of an address; raises ValueError."""
    return origin_of(text).source


def covering(origin: Origin, networks: Iterable[Network]) -> Network | None:
    """Return the first of some networks that the whole of an origin is in, or None."""
    return next((network for network in networks if origin.first in network and origin.last in network), None)


def _around(address: Address, bits: int) -> str:
    return str(ipaddress.ip_network((address, bits), strict=False))
