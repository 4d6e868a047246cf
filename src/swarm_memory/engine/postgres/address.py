"""Where a store on PostgreSQL is, how to connect to it, and its name without the password."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, quote, urlencode

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from swarm_memory.errors import InvalidArgumentError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NAMESPACE = "swarm_memory"
CONNECT_S = 5
CONNECT_ONE_OF_S = 2  # where there are others to be asked
# A client that is stopped inside a transaction holds everybody up; its transaction is ended then.
IDLE_IN_TRANSACTION_S = 10
PARTITIONS_MAX = 1024
_SEARCH_PATH = re.compile(r"-c\s*search_path=\"?([A-Za-z_][A-Za-z0-9_]*)")
_SETTING = re.compile(r"-c\s*([a-z_.]+)=(\S+)")
_OWN = ("listen_host", "listen_port", "partitions")


class Address:
    """Where a store is.

    Args:
        url: What libpq takes, with several hosts if the server has standbys.
            `options=-csearch_path=NAME` names the schema of the tables, which is `swarm_memory`
            else. Ours are `partitions=N`, by how many the tables of a new store are divided, and
            `listen_host` and `listen_port`, where the server itself listens if the URL names a
            pooler.

    Attributes:
        pooled: Whether there is a pooler that gives each transaction another connection.

    Raises:
        InvalidArgumentError: It is not understood.
    """

    def __init__(self, url: str, busy_timeout_s: float) -> None:
        url, own = _split(url)
        try:
            given = conninfo_to_dict(url)
        except psycopg.ProgrammingError as error:
            raise InvalidArgumentError(
                f"no URL of PostgreSQL: {error}", hint="postgresql://user@host:5432/database"
            ) from error
        self.pooled = False
        self.partitions = _count(own.get("partitions", "0"))
        self._listen = {n.removeprefix("listen_"): own[n] for n in _OWN[:2] if n in own}
        options = str(given.pop("options", "") or "")
        named = _SEARCH_PATH.search(options)
        self.namespace = named[1].lower() if named else NAMESPACE  # as the server reads it
        self._options = options
        self._limits = {
            "search_path": self.namespace,
            "lock_timeout": f"{round(busy_timeout_s * 1000)}",
            "idle_in_transaction_session_timeout": f"{IDLE_IN_TRANSACTION_S * 1000}",
            "synchronous_commit": "on",
            "client_min_messages": "warning",
        } | dict(_SETTING.findall(options))
        self._limits["search_path"] = self.namespace
        self._hosts = _hosts(given)
        defaults: dict[str, str | int] = {
            "connect_timeout": CONNECT_S if len(self._hosts) < 2 else CONNECT_ONE_OF_S,
            "target_session_attrs": "read-write",
            "application_name": "swarm-memory",
            "keepalives_idle": 5,
            "keepalives_interval": 2,
            "keepalives_count": 3,
            "tcp_user_timeout": 10_000,
        }
        self._given: dict[str, Any] = defaults | given
        host = given.get("host") or "its host"
        self.shown = f"{given.get('dbname') or 'the database'} at {host}, schema {self.namespace}"

    @property
    def is_cluster(self) -> bool:
        """Whether any of several hosts may be the primary."""
        return len(self._hosts) > 1

    @property
    def can_listen(self) -> bool:
        """Whether a connection that is told of writes can be had."""
        return bool(self._listen) or not self.pooled

    @property
    def settings(self) -> tuple[str, ...]:
        """What each transaction has to say for itself where connections do not remember it."""
        if not self.pooled:
            return ()
        said = ((name, value.replace("'", "''")) for name, value in self._limits.items())
        return tuple(f"SET LOCAL {name} = '{value}'" for name, value in said)

    def conninfo(
        self,
        *,
        listen: bool = False,
        only: tuple[str, int] | None = None,
        connect_s: int | None = None,
    ) -> str:
        """Return how to connect.

        Args:
            listen: To where the server itself listens.
            only: To this host and port.
            connect_s: How long to try.
        """
        parts = dict(self._given)
        if listen and self._listen:
            parts |= self._listen
            parts.pop("hostaddr", None)
        elif only is not None:
            parts |= {"host": only[0], "port": only[1]}
        elif len(self._hosts) > 1:
            parts["host"] = ",".join(host for host, _ in self._hosts)
            parts["port"] = ",".join(port for _, port in self._hosts)
        if connect_s is not None:
            parts["connect_timeout"] = connect_s
        if listen or not self.pooled:
            limits = " ".join(f"-c{name}={value}" for name, value in self._limits.items())
            parts["options"] = f"{self._options} {limits}".strip()
        return make_conninfo("", **parts)

    def prefer(self, host: str, port: int) -> None:
        """Try this one of several hosts first from now on: it was the primary a moment ago."""
        found = (host, str(port))
        if found in self._hosts[1:]:
            self._hosts.remove(found)
            self._hosts.insert(0, found)


def _split(url: str) -> tuple[str, dict[str, str]]:
    """Return a URL without what libpq does not know, and that."""
    front, mark, query = url.partition("?")
    pairs = parse_qsl(query, keep_blank_values=True)
    own = {name: value for name, value in pairs if name in _OWN}
    if not own:
        return url, own
    rest = urlencode([pair for pair in pairs if pair[0] not in _OWN], quote_via=quote)
    return f"{front}{mark if rest else ''}{rest}", own


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) > PARTITIONS_MAX:
        raise InvalidArgumentError(
            f"partitions={text}", hint=f"a whole number up to {PARTITIONS_MAX}"
        )
    return int(text)


def _hosts(given: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the hosts and ports of which any may be the primary; one is not listed."""
    hosts = str(given.get("host") or "").split(",")
    if len(hosts) < 2 or given.get("hostaddr"):
        return []
    ports = str(given.get("port") or "5432").split(",")
    if len(ports) == 1:
        ports *= len(hosts)
    return list(zip(hosts, ports, strict=False))
