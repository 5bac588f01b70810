"""Who sends a request: signed cookies for the presenter's key and for guests, and a limit on wrong codes.

LOCAL      this machine's own browser, which has the key: everything
PRESENTER  a browser elsewhere that has the key: the class page
GUEST      a browser that gave the room code and a name: the guests' page
STRANGER   anyone else: the form for the code
"""

import ipaddress
import json
import os
import secrets
import threading
import time
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

from itsdangerous import BadData, URLSafeTimedSerializer
from starlette.requests import HTTPConnection

from app.classroom.board import Board
from app.classroom.records import Guest
from app.shared.cache import Cache
from core.errors import StoreError
from core.runs.layout import disk_errors

ALPHABET = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"  # no two of which look alike
CODE_LENGTH = 6
COOKIE, SALT = "prefix_lab_class", "prefix-lab-class"
HOURS = 12  # that a cookie is valid
TRIES, PER_SECOND = 10, 0.1  # wrong codes at once from one address, and how fast others are allowed again
ALL_TRIES, ALL_PER_SECOND = 300, 5.0  # the same from all addresses together
ADDRESSES = 4096  # that are remembered
FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip")  # headers that a proxy in between adds


class Role(Enum):
    """The rights of a request; see the module's description."""

    LOCAL = "local"
    PRESENTER = "presenter"
    GUEST = "guest"
    STRANGER = "stranger"

    @property
    def presents(self) -> bool:
        """Whether it may run the class."""
        return self in (Role.LOCAL, Role.PRESENTER)


@dataclass(frozen=True)
class Visitor:
    """The sender of a request; `guest` is set for the role GUEST."""

    role: Role
    guest: Guest | None = None


@dataclass(frozen=True)
class Secrets:
    """The secrets of a class: the room `code`, the presenter's `key`, and the `signature` key of the cookies."""

    code: str
    key: str
    signature: str


def new_code() -> str:
    """Return a room code that can be read aloud, one of 887 million."""
    return "".join(secrets.choice(ALPHABET) for _ in range(CODE_LENGTH))


def load_secrets(file: Path) -> Secrets:
    """Return the secrets of a class, created at its first start and readable by their owner only. Raises StoreError if that
    fails."""
    try:
        if file.exists():
            return Secrets(**json.loads(file.read_text(encoding="utf-8")))
        new = Secrets(new_code(), secrets.token_urlsafe(18), secrets.token_urlsafe(32))
        save_secrets(file, new)
        return new
    except (OSError, ValueError, TypeError) as error:
        raise StoreError(f"The secrets of the class, {file}, cannot be read or written ({error}). Move the file away.") from error


def save_secrets(file: Path, values: Secrets) -> None:
    """Write the secrets by rename. Raises OSError if they cannot be written."""
    temporary = file.with_suffix(".tmp")
    temporary.unlink(missing_ok=True)
    with open(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w", encoding="utf-8") as out:
        json.dump(vars(values), out)
    os.replace(temporary, file)


class Doorkeeper:
    """Checks codes, keys and cookies against the class's secrets in `file`."""

    def __init__(self, file: Path, board: Board) -> None:
        self.file, self.board = file, board
        self.secrets = load_secrets(file)
        self._tries = TryLimit()

    def visitor(self, connection: HTTPConnection) -> Visitor:
        """Return the sender of a request, by cookie and address. Without a valid cookie it is a stranger, also on this
        machine."""
        try:
            values = self._signer().loads(connection.cookies.get(COOKIE, ""), max_age=HOURS * 3600)
        except BadData:
            return Visitor(Role.STRANGER)
        if isinstance(values, dict) and secrets.compare_digest(str(values.get("key", "")).encode(), self.secrets.key.encode()):
            return Visitor(Role.LOCAL if is_local(connection) else Role.PRESENTER)
        guest = self.board.guest(str(values.get("guest", ""))) if isinstance(values, dict) else None
        return Visitor(Role.GUEST, guest) if guest else Visitor(Role.STRANGER)

    def check_code(self, code: object, address: str) -> bool:
        """Whether this is the room code; case does not matter. Raises TooManyTries."""
        return self._check(str(code).strip().upper(), self.secrets.code, address)

    def check_key(self, key: object, address: str) -> bool:
        """Whether this is the presenter's key. Raises TooManyTries."""
        return self._check(str(key).strip(), self.secrets.key, address)

    def _check(self, code: str, expected: str, address: str) -> bool:
        self._tries.check(address)
        right = secrets.compare_digest(code.encode(), expected.encode())
        if not right:
            self._tries.count(address)
        return right

    def presenter_cookie(self) -> str:
        """Return the cookie for a browser that gave the key."""
        return self._signer().dumps({"key": self.secrets.key})

    def guest_cookie(self, guest: Guest) -> str:
        """Return the cookie for a browser that gave the code."""
        return self._signer().dumps({"guest": guest.id})

    def change_code(self) -> None:
        """Replace the room code; guests who are here keep access."""
        self.secrets = replace(self.secrets, code=new_code())
        with disk_errors(f"write {self.file}", "The new code is lost at the next start."):
            save_secrets(self.file, self.secrets)

    def _signer(self) -> URLSafeTimedSerializer:
        return URLSafeTimedSerializer(self.secrets.signature, salt=SALT)


def is_local(connection: HTTPConnection) -> bool:
    """Whether a request comes from this machine itself: between loopback addresses, and without a proxy."""
    client = connection.client.host if connection.client else ""
    host = connection.headers.get("host", "")
    through_proxy = any(header in connection.headers for header in FORWARDED)
    return _is_loopback(client) and _is_loopback(host_name(host)) and not through_proxy


def host_name(host: str) -> str:
    """Return the name or address in a Host header, without its port."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].rstrip(".").lower()


def _is_loopback(name: str) -> bool:
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


class TooManyTries(Exception):
    """Too many wrong codes from an address, or from all. `seconds`: when the next one is accepted."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = max(1, round(seconds))


class TryLimit:
    """Limits wrong codes: a token bucket per address, and one for all."""

    def __init__(self) -> None:
        self._lock, self._all = threading.Lock(), Bucket(ALL_TRIES, ALL_PER_SECOND)
        self._buckets: Cache[str, Bucket] = Cache(ADDRESSES)

    def check(self, address: str) -> None:
        """Raise TooManyTries unless this address has a try left."""
        with self._lock:
            waits = [bucket.wait() for bucket in (self._all, self._bucket(address))]
        if max(waits) > 0:
            raise TooManyTries(max(waits))

    def count(self, address: str) -> None:
        """Count a try of an address."""
        with self._lock:
            for bucket in (self._all, self._bucket(address)):
                bucket.take()

    def _bucket(self, address: str) -> "Bucket":
        return self._buckets.get_or_compute(_network(address), lambda: Bucket(TRIES, PER_SECOND))


class Bucket:
    """A token bucket: `size` tokens at once, `per_second` after that."""

    def __init__(self, size: float, per_second: float) -> None:
        self.size, self.per_second, self._left, self._at = size, per_second, size, time.monotonic()

    def wait(self) -> float:
        """Return the seconds until a token is available; 0 if one is."""
        now = time.monotonic()
        self._left, self._at = min(self.size, self._left + (now - self._at) * self.per_second), now
        return 0.0 if self._left >= 1 else (1 - self._left) / self.per_second

    def take(self) -> None:
        """Use a token."""
        self._left -= 1


def _network(address: str) -> str:
    """Return the address by which tries are counted; for IPv6 the /64 network, which belongs to one machine."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return "unknown"
    return str(ipaddress.ip_network(f"{parsed}/64", strict=False)) if parsed.version == 6 else str(parsed)
