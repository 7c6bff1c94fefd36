"""Where things are on this machine. What the Plan does not say, because it differs from machine to machine."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from jwtgate.nginx.features import Features, Version, features
from jwtgate.nginx.names import Names


@dataclass(frozen=True, slots=True)
class Site:
    """Directories, sockets, and the NGINX that will read the configuration.

    `run_dir` holds sockets, the process id and NGINX's temporary files; `cache_dir` the decision cache, best on
    another file system than `run_dir`, both in memory. `account` is whom NGINX's workers run as, user and group,
    when its master is root. `generation` names this configuration: the running NGINX answers it on its control
    socket. `epoch` stands in the key of the decision cache: with a new one, no old decision is found. `turn`
    counts the validators that were replaced by others: each turn has sockets of its own.
    """

    run_dir: Path
    cache_dir: Path
    nginx_version: Version
    workers: int
    generation: str
    epoch: str
    turn: int = 0
    account: tuple[str, str] | None = None
    ca_bundle: Path = Path("/etc/ssl/certs/ca-certificates.crt")
    names: Names = field(default_factory=Names)
    stub_status: bool = False  # the NGINX can tell about its connections
    counts: bool = False  # somebody reads `counts_log`; else it would only grow
    cores: int | None = None  # NGINX workers; None: as many as the machine has cores

    @property
    def features(self) -> Features:
        """What the NGINX can do."""
        return features(self.nginx_version)

    @property
    def counts_log(self) -> Path:
        """What NGINX notes of each request for the metrics."""
        return self.run_dir / "counts.log"

    @property
    def sockets(self) -> Path:
        """The directory of all sockets; nobody but us and NGINX's workers can enter it."""
        return self.run_dir / "sockets"

    @property
    def validator_sockets(self) -> tuple[Path, ...]:
        """One socket for each validator worker: a worker that dies takes no other's requests with it."""
        return validator_sockets(self.run_dir, self.workers, self.turn)

    @property
    def control_socket(self) -> Path:
        """Where the running NGINX answers its generation."""
        return self.sockets / "nginx.sock"

    @property
    def temp_dir(self) -> Path:
        """NGINX's request bodies and responses that do not fit in memory."""
        return self.run_dir / "temp"

    @property
    def configuration(self) -> Path:
        """The rendered nginx.conf."""
        return self.run_dir / "nginx.conf"


def validator_sockets(run_dir: Path, workers: int, turn: int = 0) -> tuple[Path, ...]:
    """The sockets of that many workers, whoever starts them."""
    suffix = f".{turn}" if turn else ""
    return tuple(run_dir / "sockets" / f"validator-{number}{suffix}.sock" for number in range(workers))
