"""The decision cache on disk, when its decisions are to go."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

# ngx_http_file_cache.c: an entry is a binary header, "\nKEY: ", the key, and the answer. The key's first line is
# the epoch.
_KEY = b"\nKEY: "
_HEAD = 1024  # bytes in which the key begins: the header takes some 340


def forget_decisions(directory: Path, *, but: str) -> int:
    """Overwrite the entries of every epoch but one; how many they were.

    Overwritten by zeros, not removed: what they held, tokens, is gone at once. The files go when NGINX's cache
    manager takes them as too old, or as too many; it logs a critical error for each file that it does not find, or
    finds too short, but takes zeros for an entry of another version.
    """
    count = 0
    for path in directory.rglob("*"):
        with contextlib.suppress(OSError), path.open("rb+") as file:  # a directory, or NGINX was faster
            epoch = _epoch(file.read(_HEAD))
            if epoch not in (None, but):
                file.seek(0)
                file.write(bytes(os.fstat(file.fileno()).st_size))
                count += 1
    return count


def _epoch(head: bytes) -> str | None:
    _, found, key = head.partition(_KEY)
    return key.partition(b"\n")[0].decode("latin-1") if found else None
