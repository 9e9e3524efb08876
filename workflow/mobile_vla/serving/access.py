"""Who is answered: who shows the token, and for some pages a browser on this machine."""

from __future__ import annotations

import hmac
import ipaddress
from typing import Collection

from mobile_vla.serving.web import Request, RequestError


class Access:
    """Who is answered.

    Args:
        token: what clients must show, if they must.
        host: the address that the server listens at.
        pages: paths that a browser on this machine opens, without a token; and nobody else.
    """

    def __init__(self, token: str | None, host: str, pages: Collection[str] = ()):
        self.token, self.host, self.pages = token, host.lower(), pages

    def check(self, request: Request) -> None:
        """Refuse a request of somebody else.

        Raises:
            RequestError: the token is missing, or a web page asks.
        """
        if request.path in self.pages:
            _check_page(request)
            return
        if self.token is not None:
            shown = request.headers.get("authorization", "")
            if not hmac.compare_digest(shown.encode(), b"Bearer " + self.token.encode()):
                raise RequestError(
                    401, "no_token", "expected the header `Authorization: Bearer TOKEN`"
                )
        if "origin" in request.headers:
            # else any web page that is open on this machine could drive the robot
            raise RequestError(403, "browser", "requests of web pages are not answered")
        named = request.headers.get("host", "")
        if self.token is None and not self._is_address(named):
            # A page may give its own name this machine's address, and then reads the answers.
            raise RequestError(
                403,
                "other_host",
                f"found the Host {named[:100]!r}, expected this machine's address or localhost",
            )

    def _is_address(self, named: str) -> bool:
        name = named.lower()
        name, colon, port = name.rpartition(":")
        if not colon or not port.isdigit():
            name = named.lower()
        name = name.strip("[]")
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return name in ("localhost", self.host)
        return True


def _check_page(request: Request) -> None:
    """Refuse a page to all but browsers on this machine that were led there by the page itself.

    Raises:
        RequestError: another machine asks, or another page sends a form.
    """
    if not is_loopback(request.peer):
        raise RequestError(403, "other_machine", "this page is for the server's machine alone")
    named = request.headers.get("host", "").lower()
    name = named.rpartition(":")[0] if named.rpartition(":")[2].isdigit() else named
    if not is_loopback(name.strip("[]")):
        # A page may give its own name this machine's address.
        raise RequestError(403, "other_host", f"found the Host {named[:100]!r}, expected localhost")
    origin = request.headers.get("origin")
    fetched = request.headers.get("sec-fetch-site", "same-origin")
    foreign = origin is not None and origin.lower() != f"http://{named}"
    if foreign or (request.method != "GET" and (origin is None or fetched != "same-origin")):
        raise RequestError(403, "browser", "forms of other pages are not answered")


def is_loopback(host: str) -> bool:
    """Whether a name or an address is that of this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
