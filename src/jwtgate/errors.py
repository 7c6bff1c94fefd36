"""Every exception that jwtgate raises on purpose.

    JwtgateError                    the root; its text is written for the person who reads it
    ├── ConfigError                 gateway.yaml is wrong: all its problems, each with file, line and column
    ├── KeyRefusedError             a JWK or a key file that we do not use, and why (never the key itself)
    ├── KeyFetchError               an issuer's key set could not be had; the text says where and why
    ├── StatusListRefusedError      a status list that we do not use, and why
    ├── DenyListError               a deny-list that cannot be read: file, line and what to write
    ├── NginxError                  NGINX is missing, too old, or refused the configuration
    ├── LintError                   an NGINX configuration that cannot be looked at
    ├── UnquotableError             a value that NGINX's grammar cannot carry
    ├── StartError                  something we start cannot start: a port is taken, a directory is not ours
    ├── ControlError                a running gateway is not there, or cannot do what it is asked to
    ├── StoreError                  the signer's database cannot be reached or used at the moment
    └── SignerError                 the signer cannot do what a person asked: no such client, no such key

A denied request is none of these: a denial is a value (`jwtgate.reasons.Reason`), exceptions are for faults.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence


class JwtgateError(Exception):
    """The root. `str(error)` is one or more lines for a person: what is wrong, and what to do."""


class ConfigProblem(Protocol):
    """One mistake in a configuration file; `str(problem)` is its whole text (`jwtgate.config.Problem`)."""

    @property
    def file(self) -> str: ...


class ConfigError(JwtgateError):
    """The configuration is wrong. Raised once, with every problem that was found, in the order of the file."""

    def __init__(self, problems: Sequence[ConfigProblem]) -> None:
        super().__init__(problems)
        self.problems = tuple(problems)

    def __str__(self) -> str:
        count = "1 problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
        files = sorted({problem.file for problem in self.problems})
        return "\n\n".join([*map(str, self.problems), f"{count} in {', '.join(files)}"])


class KeyRefusedError(JwtgateError):
    """A key that is not used: malformed, too weak, of an unknown type, or private where public is expected."""


class KeyFetchError(JwtgateError):
    """A key set could not be fetched or read."""


class StatusListRefusedError(JwtgateError):
    """A Status List Token that is not used. `key_unknown`: the key `kid` may be one that is newer than ours."""

    def __init__(self, text: str, *, key_unknown: bool = False, kid: str | None = None) -> None:
        super().__init__(text)
        self.key_unknown = key_unknown
        self.kid = kid


class DenyListError(JwtgateError):
    """A deny-list that cannot be read, or an entry that cannot be written."""


class NginxError(JwtgateError):
    """NGINX is missing, unusable, or refused the configuration that was rendered for it."""


class LintError(JwtgateError):
    """An NGINX configuration that is to be looked at, and cannot be read."""


class UnquotableError(JwtgateError):
    """A value that cannot be written into an NGINX configuration without changing its meaning."""


class StartError(JwtgateError):
    """A process, port, socket or directory that is needed cannot be had."""


class ControlError(JwtgateError):
    """No gateway runs where one is asked, or it says why it did not do what it was asked."""


class StoreError(JwtgateError):
    """The signer's database cannot be reached or used at the moment. The text holds no password and no value."""


class SignerError(JwtgateError):
    """What a person asked of the signer cannot be done; the text says why, and what can."""
