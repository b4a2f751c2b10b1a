"""What several commands do before their own work: directories, settings, logs, base URLs, a token from a pipe."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tradetui import config
from tradetui.domain.errors import UsageError

if TYPE_CHECKING:
    from tradetui.brokers.upstox.hosts import Hosts
    from tradetui.logs import RingHandler

Flags = tuple[str | None, str | None, str | None, str | None]
"""Base URLs from flags or environment: main, order, feed, assets."""
NO_URLS: Flags = (None, None, None, None)


@dataclass(frozen=True, slots=True)
class Setting:
    """Where a command works, and how.

    Attributes:
        place: Directories.
        config: Settings.
    """

    place: config.Home
    config: config.Config

    def hosts(self, urls: Flags) -> Hosts | None:
        """Base URLs from flags, else settings; ``None`` when neither says anything.

        Raises:
            ConfigError: They contradict each other, or are no URLs.
        """
        from tradetui.brokers.upstox.hosts import chosen_hosts

        own = self.config.urls
        pairs = zip(urls, (own.main, own.order, own.feed, own.assets), strict=True)
        return chosen_hosts(*(flag or setting for flag, setting in pairs))


def prepare(home: str | None) -> Setting:
    """Find the directories, read the settings, and send all logging to the log file.

    Raises:
        ConfigError: The settings file is wrong.
        StorageError: The log file cannot be written.
    """
    place = config.home(home)
    settings = config.load(place.config_file)
    start_logging(place, settings)
    return Setting(place, settings)


def start_logging(place: config.Home, settings: config.Config) -> RingHandler:
    """Send all logging to the log file, redacted; returns the ring that the log pane shows.

    Raises:
        StorageError: The log file cannot be written.
    """
    from tradetui import logs
    from tradetui.brokers.upstox.redact import redact_text

    chosen = settings.logs
    return logs.set_up(
        place.data_dir / "logs",
        redact_text,
        level=chosen.level,
        form=chosen.format,
        max_mb=chosen.max_mb,
        keep=chosen.keep,
    )


def token_from_pipe(wanted: bool, command: str) -> str:
    """The access token on standard input, kept in memory only; empty when none was announced.

    Raises:
        UsageError: Announced, but nothing came.
    """
    if not wanted:
        return ""
    token = sys.stdin.readline().strip()
    if not token:
        raise UsageError(
            "no token on standard input", f"pipe it in: `printf %s TOKEN | tradetui {command} --token-stdin`"
        )
    return token
