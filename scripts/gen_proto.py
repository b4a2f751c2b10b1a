"""Write `tradetui/pb/` from `proto/` with the pinned compiler (`make proto`).

The output depends only on the schema and on the locked version of grpcio-tools, so running this twice, or on
another machine, gives the same bytes; a test holds us to it.
"""

from __future__ import annotations

import re
import sys
from importlib import resources
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROTO_DIR = ROOT / "proto"
OUT_DIR = ROOT / "tradetui" / "pb"
_OTHER_SCHEMA = re.compile(r"^import (\w+_pb2)", re.MULTILINE)


def generate(out_dir: Path) -> list[Path]:
    """Compile every schema in `proto/` into `out_dir`.

    Args:
        out_dir: Existing folder that receives `*_pb2.py` and `*_pb2.pyi`.

    Returns:
        The files written, sorted by name.

    Raises:
        RuntimeError: The compiler refused a schema; its own message is on standard error.
    """
    from grpc_tools import protoc

    well_known = resources.files("grpc_tools") / "_proto"
    schemas = sorted(path.name for path in PROTO_DIR.glob("*.proto"))
    status = protoc.main(
        [
            "protoc",
            f"--proto_path={PROTO_DIR}",
            f"--proto_path={well_known}",
            f"--python_out={out_dir}",
            f"--pyi_out={out_dir}",
            *schemas,
        ]
    )
    if status != 0:
        raise RuntimeError(f"protoc ended with status {status}")
    written = sorted(out_dir.glob("*_pb2.py*"))
    for path in written:
        # The compiler imports one schema from another as if they lay at the top.
        text = path.read_text(encoding="utf-8")
        path.write_text(_OTHER_SCHEMA.sub(r"from tradetui.pb import \1", text), encoding="utf-8")
    return written


def main() -> int:
    """Regenerate the committed files and name them."""
    for path in generate(OUT_DIR):
        print(path.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
