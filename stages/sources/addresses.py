"""Addresses as messages may show them: without passwords, and without query strings, where signatures stand."""

import re

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_USER = re.compile(r"(://)[^/?#]*@")
_QUERY = re.compile(r"[?#].*")


def scheme_of(place: str) -> str | None:
    """The scheme of an address, in small letters; None for a path. One letter is a drive of Windows."""
    match = _SCHEME.match(place)
    return match.group().removesuffix("://").lower() if match else None


def shown(place: str) -> str:
    """A path as it is; an address, also the last of a chain (`zip://part::address`), without its secrets."""
    *inner, last = place.split("::")
    if scheme_of(last) is not None and scheme_of(last) != "file":
        last = _USER.sub(r"\1", last)
        last = _QUERY.sub("", last) if scheme_of(last) in ("http", "https") else last
    return "::".join([*inner, last])


def without_secrets(text: str, address: str) -> str:
    """Some library's message about an address, as one line that does not repeat its secrets."""
    secrets = [match.group() for match in _QUERY.finditer(address)]
    secrets += [match.group()[3:] for match in _USER.finditer(address)]
    text = text.replace(address, shown(address))
    for secret in secrets:
        text = text.replace(secret, "")
    return " ".join(text.split())
