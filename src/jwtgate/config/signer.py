"""`signer:` → the signer's settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jwtgate.plan import SignerPlace, SignerSettings

if TYPE_CHECKING:
    from jwtgate.config.files import Files
    from jwtgate.config.report import Report
    from jwtgate.config.schema import SignerSection


def compile_signer(section: SignerSection, files: Files, report: Report) -> SignerSettings:
    """The signer's settings; contradictions are reported."""
    if section.key_dir is None and section.database is None:
        report.error(
            ("signer",), 'the signer has neither "key_dir" nor "database"', "add key_dir: keys", at_key=True
        )
    if section.key_dir is not None and section.database is not None:
        hint = "key_dir is for a signer alone, database for several: remove one"
        report.error(("signer", "key_dir"), 'the signer has "key_dir" and "database"', hint, at_key=True)
    if section.passphrase_file is not None and section.passphrase_env is not None:
        message = 'the signer has "passphrase_file" and "passphrase_env"'
        report.error(("signer", "passphrase_env"), message, "remove one of them", at_key=True)
    if len(set(section.algorithm)) != len(section.algorithm):
        report.error(("signer", "algorithm"), "an algorithm stands there twice", "remove one of them")
    return signer_settings(section, files)


def signer_settings(section: SignerSection, files: Files) -> SignerSettings:
    """The settings, each default filled in."""
    url = (section.url or section.issuer).rstrip("/")
    return SignerSettings(
        issuer=section.issuer,
        url=url,
        audience=tuple(section.audience),
        algorithms=tuple(section.algorithm),
        listen=section.listen,
        token_lifetime=section.token_lifetime,
        jwks_max_age=section.jwks_max_age,
        rotation_interval=section.rotation,
        status_list_uri=section.status_list or f"{url}/status-list",
        status_list_max_age=section.status_list_max_age,
        place=SignerPlace(
            key_dir=None if section.key_dir is None else files.path(section.key_dir),
            database=section.database,
            passphrase_file=None if section.passphrase_file is None else files.path(section.passphrase_file),
            passphrase_env=section.passphrase_env,
        ),
    )
