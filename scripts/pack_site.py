"""Pack the built site into one zip file that opens without a server.

Usage: python scripts/pack_site.py SITE ZIP

The archive holds one folder, ``book``. Its ``index.html`` opens by a double click: no page needs a
server, a kernel or a network.
"""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path


def pack(site: Path, target: Path) -> None:
    """Write the files of the site, without what only a rebuild needs."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for path in sorted(site.rglob("*")):
            if path.is_file() and path.name not in {".buildinfo", "objects.inv"}:
                archive.write(path, Path("book", path.relative_to(site)))


if __name__ == "__main__":
    pack(Path(sys.argv[1]), Path(sys.argv[2]))
