"""The address that the app listens at."""

import errno
import socket

from core.errors import PrefixLabError


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that takes connections at `host` and `port`. Raises PrefixLabError, which says what is wrong with them."""
    try:
        socket.getaddrinfo(host, port)  # of its error, create_server makes one of another class
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=256)
    except socket.gaierror as error:
        raise PrefixLabError(f"There is no host {host!r}. Give --host an address of this machine, or leave it out.") from error
    except OSError as error:
        raise PrefixLabError(reason(error.errno, host, port)) from error


def reason(number: int | None, host: str, port: int) -> str:
    """Say what is wrong with an address, by the number of the system's error; None if that is not known."""
    if number in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
        return f"{host} is not an address of this machine. Give --host one that is, or leave it out."
    if number == errno.EACCES:
        return f"You may not use port {port}: those below 1024 are the system's. Give another one with --port."
    return f"Port {port} of {host} cannot be used; another program may have it. Give another one with --port."
