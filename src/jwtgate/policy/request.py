"""What a policy may read of the request. Each input has to be declared: it stands in the decision cache's key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Inputs:
    """The inputs that a policy declares, and that NGINX therefore sends. Header names are lower case, sorted."""

    method: bool = False
    path: bool = False
    host: bool = False
    headers: tuple[str, ...] = ()

    def __or__(self, other: Inputs) -> Inputs:
        return Inputs(
            self.method or other.method,
            self.path or other.path,
            self.host or other.host,
            tuple(sorted({*self.headers, *other.headers})),
        )

    def __bool__(self) -> bool:
        return self.method or self.path or self.host or bool(self.headers)


NO_INPUTS: Final = Inputs()


class Request(msgspec.Struct, frozen=True, gc=False):
    """The declared inputs of one request, as NGINX understood them; what was not declared is empty.

    `path` is normalised (`$uri`), `host` in lower case and without a port (`$host`). `headers` are in lower
    case; one that is absent is empty.
    """

    method: str = ""
    path: str = ""
    host: str = ""
    headers: Mapping[str, str] = {}

    @property
    def is_text(self) -> bool:
        """Whether a client sent UTF-8: other bytes stand here as lone surrogates, and equal no text."""
        try:
            "".join((self.method, self.path, self.host, *self.headers.values())).encode()
        except UnicodeEncodeError:
            return False
        return True


NO_REQUEST: Final = Request()
