"""Where an issuer's key set is read from, behind one method.

    Source.load(seen) -> Got | Same        raises KeyFetchError

A file is watched the way a URL is polled: its size, times and inode stand for the ETag.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol, assert_never

from jwtgate.errors import KeyFetchError, KeyRefusedError
from jwtgate.jwks.clock import steady
from jwtgate.jwks.fetch import ANEW, Fetcher, Got, RefusedByIssuerError, Same, Seen, same_origin
from jwtgate.keys import read_jwks, secret_keyset
from jwtgate.keys.keyset import MAX_FILE_BYTES, MAX_OWN_KEYS
from jwtgate.keys.metadata import read_metadata
from jwtgate.plan import Discovery, InlineJwks, JwksFile, JwksUrl, SharedSecret

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from jwtgate.jwks.view import Origin
    from jwtgate.keys import KeySet
    from jwtgate.keys.freshness import Pace
    from jwtgate.plan import Fetching, Issuer

_WATCH = 1.0  # seconds between two looks at a file
_METADATA_LIFETIME = 3600.0  # seconds; forgotten at once when the keys cannot be had where it says


class Source(Protocol):
    """Where a key set comes from."""

    @property
    def place(self) -> str:
        """Its address, for a person."""

    @property
    def max_keys(self) -> int:
        """More keys than this are refused."""

    @property
    def shared(self) -> bool:
        """Whether one worker's fetch is enough for all."""

    @property
    def patience(self) -> float:
        """Seconds that `load` takes at most."""

    @property
    def origin(self) -> Origin:
        """What a set that was read from it is called."""

    async def load(self, seen: Seen) -> Got | Same:
        """The set, unless it still is the version `seen`. Raises KeyFetchError."""


@dataclass(frozen=True, slots=True)
class UrlSource:
    """A JWKS document at a URL."""

    url: str
    fetching: Fetching
    fetcher: Fetcher
    shared: bool = True
    origin: Origin = "fetched"

    @property
    def place(self) -> str:
        """The URL."""
        return self.url

    @property
    def max_keys(self) -> int:
        """As configured."""
        return self.fetching.max_keys

    @property
    def patience(self) -> float:
        """One GET."""
        return self.fetching.total_timeout

    async def load(self, seen: Seen) -> Got | Same:
        """One conditional GET."""
        return await self.fetcher.get(self.url, seen, self.fetching)


@dataclass(slots=True)
class DiscoverySource:
    """A JWKS document at the URL that the issuer's metadata names."""

    keys: Discovery
    fetcher: Fetcher
    clock: Callable[[], float]
    shared: bool = True
    origin: Origin = "fetched"
    _uri: str | None = field(default=None, init=False)
    _until: float = field(default=0.0, init=False)

    @property
    def place(self) -> str:
        """The first place of the metadata."""
        return self.keys.urls[0]

    @property
    def max_keys(self) -> int:
        """As configured."""
        return self.keys.fetching.max_keys

    @property
    def patience(self) -> float:
        """A GET of each place of the metadata, and one of the keys."""
        return self.keys.fetching.total_timeout * (len(self.keys.urls) + 1)

    async def load(self, seen: Seen) -> Got | Same:
        """One conditional GET, and one of the metadata before it if that is unknown or old."""
        if self._uri is None or self.clock() >= self._until or seen.anew:
            uri = await self._discover(ANEW if seen.anew else Seen())
            # The validators of one place say nothing about another.
            seen = seen if uri == self._uri or seen.anew else Seen()
            self._uri, self._until = uri, self.clock() + _METADATA_LIFETIME
        fetching = self.keys.fetching
        if fetching.headers and not any(same_origin(self._uri, url) for url in self.keys.urls):
            # They may be secrets, and were given for the place that is configured.
            fetching = replace(fetching, headers=())
        try:
            return await self.fetcher.get(self._uri, seen, fetching)
        except KeyFetchError:
            self._until = 0.0
            raise

    async def _discover(self, seen: Seen) -> str:
        faults: list[str] = []
        for url in self.keys.urls:
            try:
                answer = await self.fetcher.get(url, seen, self.keys.fetching)
            except RefusedByIssuerError as error:
                faults.append(str(error))
                continue
            if isinstance(answer, Got):
                return read_metadata(answer.body, self.keys.issuer, url)
        raise KeyFetchError("; ".join(faults))


@dataclass(frozen=True, slots=True)
class FileSource:
    """A JWKS file on this machine."""

    path: Path
    max_keys: int = MAX_OWN_KEYS
    shared: bool = False
    patience: float = 0.0
    origin: Origin = "file"

    @property
    def place(self) -> str:
        """The path."""
        return str(self.path)

    async def load(self, seen: Seen) -> Got | Same:
        """One stat, and a read if the file changed. The file is small and local: it is read at once."""
        try:
            stat = self.path.stat()
            now_seen = Seen(etag=f"{stat.st_mtime_ns}-{stat.st_ctime_ns}-{stat.st_size}-{stat.st_ino}")
            if now_seen == seen:
                return Same(None)
            with self.path.open("rb") as file:
                body = file.read(MAX_FILE_BYTES + 1)
        except OSError as error:
            raise KeyFetchError(f"{self.path}: {error.strerror or error}") from None
        if len(body) > MAX_FILE_BYTES:
            raise KeyFetchError(f"{self.path}: larger than {MAX_FILE_BYTES} bytes, the limit for a key set")
        return Got(body, now_seen, None)


async def fetch_once(issuer: Issuer) -> KeySet:
    """The keys of `issuer`, read now, for a command that runs once; their notes say what was skipped.

    Raises KeyFetchError when they cannot be had, KeyRefusedError when they cannot be used.
    """
    match issuer.keys:
        case JwksUrl() | Discovery() | JwksFile() as keys:
            fetcher = Fetcher()
            source = make_source(keys, fetcher, steady)
        case SharedSecret() | InlineJwks() as keys:
            return static_keyset(keys, issuer.algorithms).of_issuer(issuer.issuer)
    try:
        answer = await source.load(Seen())
    finally:
        await fetcher.aclose()
    if not isinstance(answer, Got):
        raise KeyFetchError(f'{source.place}: answered "unchanged" to a first request')
    return read_jwks(answer.body, max_keys=source.max_keys).of_issuer(issuer.issuer)


def make_source(keys: JwksUrl | Discovery | JwksFile, fetcher: Fetcher, clock: Callable[[], float]) -> Source:
    """The source that `keys` describes."""
    match keys:
        case JwksUrl(url, fetching):
            return UrlSource(url, fetching, fetcher)
        case Discovery():
            return DiscoverySource(keys, fetcher, clock)
        case JwksFile(path):
            return FileSource(path)
    assert_never(keys)


def static_keyset(keys: SharedSecret | InlineJwks, algorithms: Sequence[str]) -> KeySet:
    """The keys that stand in the configuration itself. Raises KeyRefusedError when they cannot be used."""
    match keys:
        case SharedSecret(secret):
            return secret_keyset(secret, algorithms)
        case InlineJwks(jwks):
            keyset = read_jwks(jwks, max_keys=MAX_OWN_KEYS)
            if all(key.algorithms.isdisjoint(algorithms) for key in keyset.keys):
                raise KeyRefusedError(f"no usable key in the configuration{listed(keyset.notes)}")
            return keyset
    assert_never(keys)


def listed(notes: tuple[str, ...]) -> str:
    """The first few notes of a key set, for the end of a sentence."""
    return "" if not notes else " (" + "; ".join(notes[:3]) + ")"


@lru_cache(maxsize=16)
def _slowed(pace: Pace, spread: float) -> Pace:
    """Once for all issuers with the same pace."""
    return replace(pace, retry_first=min(max(pace.retry_first, spread), pace.retry_most))


def pace_of(source: Source, pace: Pace, spread: float) -> Pace:
    """The pace for this source: a file is looked at each second or so, whatever the pace for URLs is.

    `spread`: no sooner than after so many seconds an issuer that failed is asked again, if nobody waits for it.
    """
    if source.shared:
        return _slowed(pace, spread) if spread else pace
    return replace(
        pace,
        least=_WATCH,
        most=_WATCH,
        default=_WATCH,
        min_refetch=_WATCH,
        retry_first=_WATCH,
        retry_most=_WATCH,
    )
