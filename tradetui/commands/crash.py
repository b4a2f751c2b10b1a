"""What is kept of an error nobody expected: the traceback in a private file, one line on the terminal."""

from __future__ import annotations

import os
import tempfile
import traceback
from pathlib import Path


def report(error: BaseException) -> str:
    """Write the traceback (code lines only, no values of variables) to a file; return one line for the user."""
    text = "".join(traceback.format_exception(error))
    try:
        handle, name = tempfile.mkstemp(prefix="tradetui-crash-", suffix=".txt")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
    except OSError:
        return f"{type(error).__name__}"
    return f"{type(error).__name__}; the details are in {Path(name)}"
