"""How the command line asks a running gateway."""

from __future__ import annotations

import http.client
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import msgspec

from jwtgate.control.protocol import PATIENCE, control_socket
from jwtgate.errors import ControlError
from jwtgate.unix_http import exchange

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def ask_gateway(run_dir: Path, command: str, arguments: Mapping[str, Any] | None = None) -> Any:
    """What the gateway that runs in `run_dir` answers to a command.

    Raises ControlError when none runs there, when it is somebody else's, and with its own words when it did not do
    it.
    """
    path = control_socket(run_dir)
    body = msgspec.json.encode(arguments or {}).decode()
    try:
        status, text = exchange(path, "POST", f"/{command}", body, patience=PATIENCE[command])
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise ControlError(
            f"no gateway runs in {run_dir}. Start it with: jwtgate up GATEWAY.YAML; "
            "or, if it runs in another directory, name that: --run-dir DIR"
        ) from error
    except PermissionError as error:
        raise ControlError(
            f"the gateway in {run_dir} is another user's: run this as that user, or as root (sudo)"
        ) from error
    except TimeoutError as error:
        raise ControlError(
            f"the gateway in {run_dir} has not answered for {PATIENCE[command]:.0f} s: see its log"
        ) from error
    except (OSError, http.client.HTTPException) as error:
        raise ControlError(f"{path} does not answer like a gateway: {error}") from error
    answer = msgspec.json.decode(text, type=dict[str, Any])
    if status != HTTPStatus.OK:
        raise ControlError(answer["error"])
    return answer["result"]
