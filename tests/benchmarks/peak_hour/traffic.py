"""Bytes between processes of this machine, by who called whom: what the kernel counts of each TCP connection.

Connections are asked for by netlink (sock_diag), as `ss -ti` does. A connection tells what it carried while it lives,
so the tally is brought up to date every second or so; what a connection carries after its last look is missed.
"""

import os
import socket
import struct
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

_SOCK_DIAG = 4
_BY_FAMILY = 20
_REQUEST_ALL = 0x301
_ERROR, _DONE = 2, 3
_TCP_INFO = 2
_ESTABLISHED = 1 << 1
_HEAD = struct.Struct("=IHHII")
_ASK = struct.Struct("=BBBBI48x")
_MESSAGE = struct.Struct("=BBBB H H 16s 16s I 8s IIIII")
_ATTRIBUTE = struct.Struct("=HH")
_BYTES = struct.Struct("=QQ")
_BYTES_AT = 120
"""Where tcp_info tells what the other side has acknowledged and what came from it."""


class Socket(NamedTuple):
    """One end of a living connection."""

    port: int
    peer_port: int
    inode: int
    sent: int
    received: int


class Hop(NamedTuple):
    """Who called whom."""

    client: str
    server: str


@dataclass(slots=True)
class Carried:
    """Bytes that a client sent to a server, and got from it."""

    sent: int = 0
    received: int = 0


@dataclass(slots=True)
class Tally:
    """What each hop carried since the first look.

    Attributes:
        servers: names by port.
        clients: names by process id.
    """

    servers: Mapping[int, str]
    clients: Mapping[int, str]
    hops: dict[Hop, Carried] = field(default_factory=dict)
    _seen: dict[int, tuple[Hop, int, int]] = field(default_factory=dict)
    _looked: bool = False

    def look(self) -> None:
        """Add what living connections carried since the last look."""
        owners = {inode: name for pid, name in self.clients.items() for inode in _inodes(pid)}
        for one in sockets():
            server, client = self.servers.get(one.peer_port), owners.get(one.inode)
            if server is None or client is None:
                continue
            hop = Hop(client, server)
            known, sent, received = self._seen.get(one.inode, (hop, 0, 0))
            if one.inode not in self._seen and not self._looked:
                known, sent, received = hop, one.sent, one.received  # it is older than the tally
            if known != hop or one.sent < sent:
                sent = received = 0  # another connection has the number now
            carried = self.hops.setdefault(hop, Carried())
            carried.sent += one.sent - sent
            carried.received += one.received - received
            self._seen[one.inode] = (hop, one.sent, one.received)
        self._looked = True

    def now(self) -> Counter[tuple[Hop, str]]:
        """What was carried so far, by hop and direction."""
        return Counter({(hop, way): getattr(c, way) for hop, c in self.hops.items() for way in ("sent", "received")})


def sockets() -> Iterator[Socket]:
    """All established IPv4 connections of this machine, each end by itself.

    Raises:
        OSError: the kernel does not tell.
    """
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _SOCK_DIAG) as link:
        ask = _ASK.pack(socket.AF_INET, socket.IPPROTO_TCP, 1 << (_TCP_INFO - 1), 0, _ESTABLISHED)
        link.send(_HEAD.pack(_HEAD.size + len(ask), _BY_FAMILY, _REQUEST_ALL, 0, 0) + ask)
        while True:
            data = link.recv(1 << 20)
            while data:
                size, kind, *_ = _HEAD.unpack_from(data)
                if kind == _DONE:
                    return
                if kind == _ERROR:
                    raise OSError("the kernel does not tell of connections")
                yield _read(data[_HEAD.size : size])
                data = data[(size + 3) & ~3 :]


def _read(message: bytes) -> Socket:
    fields = _MESSAGE.unpack_from(message)
    sent = received = 0
    at = _MESSAGE.size
    while at + _ATTRIBUTE.size <= len(message):
        size, kind = _ATTRIBUTE.unpack_from(message, at)
        if kind == _TCP_INFO:
            sent, received = _BYTES.unpack_from(message, at + _ATTRIBUTE.size + _BYTES_AT)
        at += (size + 3) & ~3
    return Socket(socket.ntohs(fields[4]), socket.ntohs(fields[5]), fields[-1], sent, received)


def _inodes(pid: int) -> Iterator[int]:
    with suppress(OSError):
        for entry in os.scandir(f"/proc/{pid}/fd"):
            with suppress(OSError, ValueError):
                name = Path(entry.path).readlink().name
                if name.startswith("socket:["):
                    yield int(name[8:-1])
