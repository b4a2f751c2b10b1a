"""What a run leaves behind for whoever may have to act in its place: where it traded, and never a secret on disk.

`last-run.json` in the data directory says in which mode, at which hosts and in which account folder the last run
traded: ``tradetui kill`` without an engine acts there and nowhere else. The login itself is handed to the watchdog
over a pipe and lives in its memory only.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from tradetui.brokers.upstox.hosts import Hosts
from tradetui.brokers.upstox.tokens import AccessToken
from tradetui.domain.errors import StorageError
from tradetui.domain.secret import Secret
from tradetui.domain.view import Mode

LAST_RUN: Final = "last-run.json"


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where a run trades.

    Attributes:
        mode: Which world its orders go to.
        main, order, feed, assets: Base URLs.
        folder: Name of the account's data folder.
        label: The account, for people.
        speed: Exchange seconds in a real one.
        inner: The exchange is the run's own child, and ends with it.
    """

    mode: Mode
    main: str
    order: str
    feed: str
    assets: str
    folder: str
    label: str
    speed: float = 1.0
    inner: bool = False

    @property
    def hosts(self) -> Hosts:
        """The base URLs."""
        return Hosts(main=self.main, order=self.order, feed=self.feed, assets=self.assets)

    def save(self, data_dir: Path) -> None:
        """Write it down.

        Raises:
            StorageError: The directory cannot be written.
        """
        path = data_dir / LAST_RUN
        try:
            fresh = path.with_suffix(".new")
            fresh.write_text(json.dumps(asdict(self)), encoding="utf-8")
            fresh.chmod(0o600)
            fresh.replace(path)
        except OSError as error:
            raise StorageError(f"cannot write {path}: {error.strerror}") from error


def last_run(data_dir: Path) -> Whereabouts | None:
    """Where the last run on this directory traded; ``None`` when there was none, or the file makes no sense."""
    try:
        return _whereabouts(json.loads((data_dir / LAST_RUN).read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _whereabouts(said: Any) -> Whereabouts:
    return Whereabouts(**{**said, "mode": Mode(said["mode"])})


@dataclass(frozen=True, slots=True)
class HandOver:
    """Everything the watchdog needs, as it crosses the pipe.

    Attributes:
        where: Where the run trades.
        token: Its login.
        config_dir, data_dir: Directories.
        epoch: The engine's lease.
        after_s: Silence after which to act, seconds.
        policy: ``warn``, ``cancel`` or ``flatten``.
    """

    where: Whereabouts
    token: AccessToken = field(repr=False)
    config_dir: str
    data_dir: str
    epoch: int
    after_s: float
    policy: str

    def line(self) -> bytes:
        """One JSON line. It carries the bearer: for a pipe only."""
        said = {
            "where": asdict(self.where),
            **token_data(self.token),
            "config_dir": self.config_dir,
            "data_dir": self.data_dir,
            "epoch": self.epoch,
            "after_s": self.after_s,
            "policy": self.policy,
        }
        return json.dumps(said).encode() + b"\n"

    @classmethod
    def read(cls, line: bytes) -> HandOver:
        """The counterpart of `line`.

        Raises:
            ValueError, KeyError, TypeError: It is not such a line.
        """
        said = json.loads(line)
        return cls(
            _whereabouts(said["where"]),
            token_of(said),
            str(said["config_dir"]),
            str(said["data_dir"]),
            int(said["epoch"]),
            float(said["after_s"]),
            str(said["policy"]),
        )


def token_data(token: AccessToken) -> dict[str, Any]:
    """A login as plain data, bearer included."""
    return {
        "token": token.secret.reveal(),
        "issuer": token.issuer,
        "expires_ns": token.expires_ns,
        "user_id": token.user_id,
        "user_name": token.user_name,
    }


def token_of(said: dict[str, Any]) -> AccessToken:
    """The counterpart of `token_data`."""
    return AccessToken(
        Secret(said["token"]), said["issuer"], int(said["expires_ns"]), said["user_id"], said["user_name"]
    )
