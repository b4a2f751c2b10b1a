"""Where settings and data live."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Home:
    """Where settings and data live.

    Attributes:
        config_dir: Holds ``config.toml``.
        data_dir: Holds databases, journals, logs, instrument lists.
    """

    config_dir: Path
    data_dir: Path

    @property
    def config_file(self) -> Path:
        """The settings file."""
        return self.config_dir / "config.toml"

    def account_dir(self, account: str) -> Path:
        """Folder of one account's journal and databases; accounts never share one."""
        return self.data_dir / "accounts" / re.sub(r"[^A-Za-z0-9._-]", "_", account)


def home(override: str | None = None, environ: Mapping[str, str] = os.environ) -> Home:
    """Settings and data directories: the flag, else ``TRADETUI_HOME``, else the platform's own places."""
    root = override or environ.get("TRADETUI_HOME")
    if root:
        path = Path(root).expanduser()
        return Home(path, path)
    import platformdirs

    return Home(
        platformdirs.user_config_path("tradetui", appauthor=False),
        platformdirs.user_data_path("tradetui", appauthor=False),
    )
