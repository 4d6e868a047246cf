"""The webhook: one https URL that is told of alerts, and what keeps it from being another one.

Its host has to be on a list. Its address is looked up once, refused if it belongs to a private
network, and the connection goes to that very address, so a name that changes its mind between the
look and the call (DNS rebinding) reaches nothing. No redirect is followed. The whole call has a
time in which it has to end, whatever trickles in.
"""

from __future__ import annotations

import http.client
import ipaddress
import json
import socket
import ssl
import threading
from fnmatch import fnmatchcase
from urllib.parse import urlsplit

from swarm_memory.errors import ConfigError
from swarm_memory.lean import NamedTuple, suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from swarm_memory.config import Config
    from swarm_memory.model import Json

TIMEOUT_S = 10.0  # for all of one call but the look-up of its name
BODY_BYTES_MAX = 262_144
PORT = 443


class WebhookError(Exception):
    """The webhook was not told; the message says why, without its URL."""


class Webhook(NamedTuple):
    """Where alerts are posted: the host's name, the port, the path with its query."""

    host: str
    port: int
    path: str
    private: bool


def webhook_of(config: Config) -> Webhook:
    """Return the webhook of a configuration that has one.

    Raises:
        ConfigError: It is not https, holds a user's name, or its host is not in `alert_hosts`.
            The message does not repeat the URL, which may be a secret.
    """
    try:
        parts = urlsplit(config.alert_webhook)
        host, port = (parts.hostname or "").lower().rstrip("."), parts.port or PORT
    except ValueError:
        raise ConfigError("alert_webhook is no URL", hint="give https://host/path") from None
    if parts.scheme != "https" or not host or parts.username is not None or parts.fragment:
        raise ConfigError("alert_webhook is no https URL", hint="give https://host/path")
    if not any(fnmatchcase(host, pattern.lower()) for pattern in config.alert_hosts):
        raise ConfigError(f"alert_webhook: {host} is not allowed", hint="name it in alert_hosts")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if not path.isascii() or " " in path:
        raise ConfigError("alert_webhook has a path that is not encoded", hint="percent-encode it")
    return Webhook(host, port, path, config.alert_private == "allow")


def post(webhook: Webhook, told: dict[str, Json]) -> None:
    """Post JSON to the webhook; return when it answered that it has it.

    Raises:
        WebhookError: It did not, or may not be asked.
    """
    body = json.dumps(told, ensure_ascii=False).encode()
    if len(body) > BODY_BYTES_MAX:
        alerts = told["alerts"]
        short = [{n: a[n] for n in ("at_ms", "change", "alert_id", "rule")} for a in alerts]
        body = json.dumps(told | {"alerts": short}).encode()[:BODY_BYTES_MAX]
    try:
        status = _post(webhook, body)
    except (OSError, http.client.HTTPException, UnicodeError) as error:
        raise WebhookError(f"{type(error).__name__}: {error}") from error
    if not 200 <= status < 300:
        raise WebhookError(f"it answered {status}")


def addresses_of(webhook: Webhook) -> list[str]:
    """Return the addresses of the webhook's host.

    Raises:
        WebhookError: One of them belongs to no public network, and none other is allowed.
    """
    found = socket.getaddrinfo(webhook.host, webhook.port, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(str(each[4][0]) for each in found))
    for address in addresses:
        if not webhook.private and not is_public(address):
            raise WebhookError(f"{webhook.host} has the private address {address}")
    return addresses


def is_public(address: str) -> bool:
    """Tell whether an address is one of the public internet."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        # Such an address is a way to another one, which nobody has looked at.
        if ip.ipv4_mapped is not None or ip.sixtofour is not None or ip.teredo is not None:
            return False
        if ip in _TRANSLATED:
            return False
    return ip.is_global and not ip.is_multicast


_TRANSLATED = ipaddress.ip_network("64:ff9b::/96")


def _post(webhook: Webhook, body: bytes) -> int:
    address = addresses_of(webhook)[0]
    plain = socket.create_connection((address, webhook.port), timeout=TIMEOUT_S)
    # The name is what the certificate is held against; the address is what was looked at.
    context = ssl.create_default_context()
    secure = context.wrap_socket(plain, server_hostname=webhook.host, do_handshake_on_connect=False)
    cut = threading.Event()
    over = threading.Timer(TIMEOUT_S, _shut, [secure, cut])
    over.daemon = True
    over.start()
    connection = http.client.HTTPSConnection(webhook.host, webhook.port, timeout=TIMEOUT_S)
    try:
        secure.do_handshake()
        connection.sock = secure
        headers = {"Content-Type": "application/json", "User-Agent": "swarm-memory"}
        connection.request("POST", webhook.path, body, headers)
        status = connection.getresponse().status
        if cut.is_set():  # what was read until then may look like an answer
            raise TimeoutError(f"no answer in {TIMEOUT_S:g} s")
        return status
    finally:
        over.cancel()
        connection.close()
        secure.close()


def _shut(secure: ssl.SSLSocket, cut: threading.Event) -> None:
    cut.set()
    with suppress(OSError):  # it has ended meanwhile
        # Of the connection itself: what reads from it is told, and need not be asked.
        socket.socket.shutdown(secure, socket.SHUT_RDWR)
