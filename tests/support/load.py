"""Clients that keep their connections and go on until they are told to stop."""

from __future__ import annotations

import http.client
import threading
import time
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable


class SteadyLoad:
    """Each client asks again and again on one connection, `token()` with each request.

    As clients do, it asks once more on another connection when a used one was closed before the first byte of the
    answer. `statuses` are all answers, `faults` everything else that happened.
    """

    def __init__(self, address: str, paths: list[str], token: Callable[[], str], clients: int = 3) -> None:
        self.statuses: list[int] = []
        self.faults: list[str] = []
        self.retries = 0
        self._address, self._paths, self._token = address, paths, token
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._client) for _ in range(clients)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _client(self) -> None:
        connection, used = http.client.HTTPConnection(self._address, timeout=30), False
        while not self._over.is_set():
            for path in self._paths:
                try:
                    connection, used = self._ask(connection, path, used=used), True
                except (OSError, http.client.HTTPException) as error:
                    self.faults.append(repr(error))
                    connection, used = http.client.HTTPConnection(self._address, timeout=30), False
            time.sleep(0.002)
        connection.close()

    def _ask(self, connection: http.client.HTTPConnection, path: str, *, used: bool) -> http.client.HTTPConnection:
        headers = {"Authorization": f"Bearer {self._token()}"}
        try:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            if not used:
                raise
            self.retries += 1
            connection = http.client.HTTPConnection(self._address, timeout=30)
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
        answer.read()
        self.statuses.append(answer.status)
        return connection
