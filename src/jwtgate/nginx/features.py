"""What an NGINX can do, by its version. The numbers are those of its CHANGES."""

from __future__ import annotations

from dataclasses import dataclass

Version = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Features:
    """What differs between the versions that we run on."""

    http2_directive: bool  # `http2 on`; before, a parameter of `listen`
    upstream_resolve: bool  # `server … resolve` in an upstream block
    keepalive_min_timeout: bool  # idle connections outlive a reload for a moment


def features(version: Version) -> Features:
    """The features of a version."""
    return Features(
        http2_directive=version >= (1, 25, 1),
        upstream_resolve=version >= (1, 27, 3),
        keepalive_min_timeout=version >= (1, 27, 4),
    )
