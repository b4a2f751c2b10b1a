"""App credentials and tokens in the operating system's keyring, by host and account.

Service ``tradetui:<host>``; entries ``<account>:app`` (key, secret, redirect address) and ``<account>:token``.
Backends that keep plain text, or nothing, are refused by name (`design.md` 10b). Calls block and may ask the
user to unlock the keyring: run them on a thread where a loop is waiting.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from tradetui.brokers.upstox.tokens import AccessToken
from tradetui.domain.errors import AuthError
from tradetui.domain.secret import Secret
from tradetui.domain.text import clean

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

DEFAULT_ACCOUNT: Final = "default"

_REMEDY: Final = (
    "Install or unlock a keyring (GNOME Keyring or KWallet on Linux, Keychain on macOS), "
    "or hand the token in for one run: --token-stdin"
)
_REFUSED_MODULES: Final = ("keyring.backends.fail", "keyring.backends.null", "keyrings.alt")
"""Whole families: keep nothing, or keep files that any program of the user can read."""
_REFUSED_WORDS: Final = (
    "plaintext",
    "uncrypted",
    "unencrypted",
    "basickeyring",
    "nullkeyring",
    "jsonkeyring",
)
_CHAINER: Final = "keyring.backends.chainer"
_KEEPS_SECRETS: Final = ("keyrings.alt.file.EncryptedKeyring",)


class KeyringUnavailable(AuthError):
    """No keyring that keeps secrets secret can be used."""


@dataclass(frozen=True, slots=True)
class AppCredentials:
    """The API app registered with the broker.

    Attributes:
        api_key: The app's key (`client_id`).
        api_secret: The app's secret.
        redirect_uri: The redirect address registered for it, letter by letter.
    """

    api_key: Secret
    api_secret: Secret
    redirect_uri: str


@dataclass(slots=True)
class Vault:
    """The keyring entries of one account at one host.

    Args:
        host: `Hosts.label`.
        account: Name that the user gave the account.
        backend: Keyring to use; the system's own when left out.
    """

    host: str
    account: str = DEFAULT_ACCOUNT
    backend: KeyringBackend | None = field(default=None, repr=False)

    @property
    def service(self) -> str:
        """Name of the keyring service."""
        return f"tradetui:{self.host}"

    def backend_name(self) -> str:
        """Name of the keyring in use, for people.

        Raises:
            KeyringUnavailable: There is none that may be used.
        """
        return describe(self._usable())

    def load_app(self) -> AppCredentials | None:
        """The app's credentials; None when none are stored."""
        data = self._read("app")
        if data is None:
            return None
        return AppCredentials(Secret(data["key"]), Secret(data["secret"]), data["redirect_uri"])

    def save_app(self, app: AppCredentials) -> None:
        """Store the app's credentials."""
        self._write(
            "app",
            {
                "key": app.api_key.reveal(),
                "secret": app.api_secret.reveal(),
                "redirect_uri": app.redirect_uri,
            },
        )

    def load_token(self) -> AccessToken | None:
        """The stored token, expired or not; None when there is none."""
        data = self._read("token")
        if data is None:
            return None
        return AccessToken(
            Secret(data["token"]),
            data["issuer"],
            int(data["expires_ns"]),
            clean(data.get("user_id")),
            clean(data.get("user_name")),
        )

    def save_token(self, token: AccessToken) -> None:
        """Store a token in place of the last one.

        Raises:
            AuthError: The token is another host's.
        """
        if token.issuer != self.host:
            raise AuthError(f"a token of {token.issuer} is not kept under {self.host}")
        self._write(
            "token",
            {
                "token": token.secret.reveal(),
                "issuer": token.issuer,
                "expires_ns": token.expires_ns,
                "user_id": token.user_id,
                "user_name": token.user_name,
            },
        )

    def forget_token(self) -> bool:
        """Remove the token; whether there was one."""
        return self._delete("token")

    def forget_app(self) -> bool:
        """Remove the app's credentials; whether there were any."""
        return self._delete("app")

    def _read(self, item: str) -> dict[str, Any] | None:
        with _plain_errors():
            text = self._usable().get_password(self.service, f"{self.account}:{item}")
        if text is None:
            return None
        wanted = ("key", "secret", "redirect_uri") if item == "app" else ("token", "issuer", "expires_ns")
        try:
            data = json.loads(text)
            if isinstance(data, dict) and all(name in data for name in wanted):
                return data
        except ValueError:
            pass
        raise AuthError(
            f"the keyring's entry {item!r} under {self.service} is not ours", "Remove it, then log in again"
        )

    def _write(self, item: str, data: dict[str, Any]) -> None:
        with _plain_errors():
            self._usable().set_password(self.service, f"{self.account}:{item}", json.dumps(data))

    def _delete(self, item: str) -> bool:
        from keyring.errors import PasswordDeleteError

        backend = self._usable()
        name = f"{self.account}:{item}"
        with _plain_errors():
            if backend.get_password(self.service, name) is None:
                return False
            try:
                backend.delete_password(self.service, name)
            except PasswordDeleteError:
                return False
        return True

    def _usable(self) -> KeyringBackend:
        return checked(self.backend) if self.backend is not None else system_backend()


def describe(backend: KeyringBackend) -> str:
    """Module and class of a backend."""
    kind = type(backend)
    return f"{kind.__module__.removeprefix('keyring.backends.')}.{kind.__qualname__}"


def refusal_of(backend: KeyringBackend) -> str:
    """Why a backend may not be used, or an empty string. Subclasses of a refused class are refused."""
    for kind in type(backend).__mro__:
        full = f"{kind.__module__}.{kind.__qualname__}"
        if full in _KEEPS_SECRETS:
            return ""
        name = full.lower()
        if kind.__module__.startswith(_REFUSED_MODULES) or any(word in name for word in _REFUSED_WORDS):
            nothing = kind.__module__.startswith(("keyring.backends.fail", "keyring.backends.null"))
            why = "keeps nothing" if nothing else "keeps secrets in files that any program can read"
            return f"{full} {why}"
    return ""


def checked(backend: KeyringBackend) -> KeyringBackend:
    """The backend, or the first good one inside a chain.

    Raises:
        KeyringUnavailable: None may be used.
    """
    members = [backend]
    if type(backend).__module__.startswith(_CHAINER):
        # A chain writes to whichever answers first, so it is never used itself.
        members = list(getattr(backend, "backends", ()))
    reasons = []
    for member in members:
        reason = refusal_of(member)
        if not reason:
            return member
        reasons.append(reason)
    if all("keeps nothing" in reason for reason in reasons):
        raise KeyringUnavailable("this machine has no keyring to keep the login in", _REMEDY)
    raise KeyringUnavailable(f"this keyring is refused: {'; '.join(reasons)}", _REMEDY)


def system_backend() -> KeyringBackend:
    """The system's keyring.

    Raises:
        KeyringUnavailable: There is none that may be used.
    """
    import keyring

    with _plain_errors():
        return checked(keyring.get_keyring())


@contextmanager
def _plain_errors() -> Iterator[None]:
    """Whatever a backend raises becomes one line; the text of secrets is never in it."""
    try:
        yield
    except AuthError:
        raise
    except Exception as error:
        # Backends raise what their libraries raise (D-Bus, Security.framework), not only KeyringError.
        name = type(error).__name__
        if name in ("KeyringLocked", "LockedException", "PromptDismissedException"):
            raise KeyringUnavailable("the keyring is locked and was not unlocked", _REMEDY) from None
        raise KeyringUnavailable(f"the keyring does not work ({name})", _REMEDY) from None
