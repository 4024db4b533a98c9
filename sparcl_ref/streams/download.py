"""Fetching a published data set, as the last resort: everything else works offline."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sparcl_ref.text import one_line


@dataclass(frozen=True)
class Remote:
    """A file on a server: its address, its MD5 as published, and where it goes below a data folder.

    An archive (.tar.gz) is unpacked there; another file is kept there under its own name.
    """

    url: str
    md5: str
    folder: str = ""


def fetch(remotes: tuple[Remote, ...], root: Path) -> None:
    """Download files that are not there yet, check their MD5, and unpack archives, below a data folder.

    Raises
    ------
    ValueError
        If pooch, which does it, is not installed, a file cannot be had, or its checksum is another.
    """
    try:
        import pooch
    except ImportError as error:
        raise ValueError("--download needs pooch: pip install 'sparcl_ref[data]'") from error

    for remote in remotes:
        folder, name = root / remote.folder, remote.url.rsplit("/", 1)[-1]
        unpack = pooch.Untar(extract_dir=".") if name.endswith(".tar.gz") else None
        try:
            pooch.retrieve(remote.url, f"md5:{remote.md5}", name, folder, processor=unpack, progressbar=True)
        except Exception as error:  # pooch and the library below it have kinds of their own
            raise ValueError(f"{remote.url}: cannot be downloaded ({one_line(error)})") from error
