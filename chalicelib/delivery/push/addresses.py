"""Which addresses of the internet a request of ours may go to: public ones, and hosts that the operator allows.

A name is resolved here, once, and the connection is made to what was checked: a name that leads elsewhere a moment
later changes nothing.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable

from chalicelib.settings import settings

#: Where public IPv6 addresses are (RFC 4291 §2.4); all that stands for an IPv4 address or a local net lies outside,
#: but 6to4 (2002::/16) and Teredo (2001::/32).
_PUBLIC_IPV6 = ipaddress.IPv6Network("2000::/3")
_NOT_PUBLIC = (
    ipaddress.ip_network("2001::/23"), ipaddress.ip_network("2001:db8::/32"), ipaddress.ip_network("2002::/16"),
    ipaddress.ip_network("3fff::/20"), ipaddress.ip_network("192.0.0.0/24"), ipaddress.ip_network("192.88.99.0/24"),
)  # fmt: skip

#: From a host and a port to IP addresses, as text.
Resolve = Callable[[str, int], list[str]]


class NoAddress(Exception):
    """Raised when a name leads nowhere."""


class PrivateAddress(Exception):
    """Raised when a name leads into a private network, or to where no other system can be."""


def resolve(host: str, port: int) -> list[str]:
    """Return the addresses of a name, by the system's resolver.

    Raises NoAddress when there is none.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    except (OSError, UnicodeError) as error:
        raise NoAddress from error
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def is_public(address: str) -> bool:
    """Tell whether an IP address is one of the public internet."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if parsed.version == 6 and parsed not in _PUBLIC_IPV6:
        return False
    if any(parsed.version == net.version and parsed in net for net in _NOT_PUBLIC):
        return False
    return parsed.is_global and not parsed.is_multicast


def allowed_hosts() -> set[str]:
    """Return the hosts that the operator lets requests go to wherever they are."""
    return {name.strip().lower() for name in settings().push_hosts.split(",") if name.strip()}


def checked(host: str, port: int, look_up: Resolve = resolve) -> list[str]:
    """Return the addresses that a request to the host may be sent to.

    Raises NoAddress when there are none, PrivateAddress when one of them is not public.
    """
    found = look_up(host, port)
    if not found:
        raise NoAddress
    if host.lower() not in allowed_hosts() and not all(map(is_public, found)):
        raise PrivateAddress
    return found
