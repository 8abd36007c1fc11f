"""aiohttp, imported without the trust stores that it would load for itself.

When it is imported it makes two TLS contexts, and reading the system's certificates for them takes
as long as half of its modules. Connections get a context of their own (see `factory`), so those two
stay empty: the one that verifies would trust nobody.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def _no_certificates() -> Iterator[None]:
    """Let OpenSSL find no file of certificates meanwhile."""
    name = "SSL_CERT_FILE"
    value = os.environ.get(name)
    os.environ[name] = os.devnull
    try:
        yield
    finally:
        if value is None:
            del os.environ[name]
        else:
            os.environ[name] = value


with _no_certificates():
    import aiohttp

__all__ = ["aiohttp"]
