"""Keeps passwords out of what is shown or written: those in the URLs of a text, and that of a tracking URI."""

from __future__ import annotations

import re
from urllib.parse import unquote

MASK = "***"

_SERVERS = ("http", "https", "databricks")
_USERINFO = re.compile(r"(?<=://)([^\s/?#:@'\"]*):[^\s/?#'\"]*@")
_QUERY = re.compile(r"([?&;][^=&;\s'\"]*(?:pass|pwd|secret|token|odbc_connect)[^=&;\s'\"]*=)[^&\s'\"]+", re.IGNORECASE)


def masked(text: str, uri: str = "") -> str:
    """`text` without the passwords of the URLs in it, and without that of `uri`, wherever and however it is quoted."""
    secret = _password(uri)
    for form in {secret, unquote(secret)} - {""}:
        text = text.replace(form, MASK)
    return _QUERY.sub(rf"\1{MASK}", _USERINFO.sub(rf"\1:{MASK}@", text))


def shown_uri(uri: str) -> str:
    """A tracking URI as it can be shown to everyone: `***` stands for its password."""
    secret = _password(uri)
    shown = uri.replace(f":{secret}@", f":{MASK}@", 1) if secret else uri
    return masked(shown)


def _password(uri: str) -> str:
    """The password before the host, as it is written; empty: there is none.

    A database's may hold slashes; in the address of a server these begin the path.
    """
    scheme, _, rest = uri.partition("://")
    authority = re.split("[/?#]", rest, maxsplit=1)[0] if scheme in _SERVERS else rest
    userinfo, _, _ = authority.rpartition("@")
    return userinfo.partition(":")[2]
