"""The demo: two services that know nothing of tokens, and the gateway.yaml that protects them."""

from __future__ import annotations
