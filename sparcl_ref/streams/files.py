"""Reading data files that may be missing, cut short or something else altogether: always one clear ValueError."""

from __future__ import annotations

import gzip
import os
import zipfile
import zlib
from pathlib import Path

import numpy as np

from sparcl_ref.text import one_line

DATA_VARIABLE = "SPARCL_REF_DATA"


def find_folder(dataset: str, patterns: tuple[str, ...]) -> Path:
    """Find a data set's folder below the folder that the environment variable ``SPARCL_REF_DATA`` names.

    Parameters
    ----------
    dataset : str
        Name for the error.
    patterns : tuple of str
        Glob patterns, most wanted first. Of several folders that fit one pattern, the alphabetically first is taken.

    Raises
    ------
    ValueError
        If the variable is unset or empty, or no folder fits.
    """
    root = os.environ.get(DATA_VARIABLE)
    wanted = " or ".join(f"{pattern}/" for pattern in patterns)
    if not root:
        raise ValueError(
            f"{dataset}: set the environment variable {DATA_VARIABLE} to the folder that contains {wanted}"
        )
    for pattern in patterns:
        for folder in sorted(Path(root).glob(pattern)):
            if folder.is_dir():
                return folder
    raise ValueError(f"{dataset}: no folder {wanted} in {root}; let {DATA_VARIABLE} name the folder that contains it")


def read_bytes(path: Path) -> bytes:
    """Read a file.

    Raises
    ------
    ValueError
        If it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror})") from error


def read_gzip(path: Path) -> bytes:
    """Read a gzip-compressed file.

    Raises
    ------
    ValueError
        If it cannot be read, is not gzip, or is cut short or damaged.
    """
    try:
        return gzip.decompress(read_bytes(path))
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path}: not a whole gzip file ({one_line(error)}); fetch it again") from error


def read_npz(path: Path, keys: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Read named arrays from an ``.npz`` file; pickled ones are refused, because unpickling runs code.

    Parameters
    ----------
    path : Path
    keys : tuple of str
        The arrays wanted; what else the file contains is left alone.

    Returns
    -------
    dict of str to ndarray

    Raises
    ------
    ValueError
        If the file cannot be read, is not an .npz file, is damaged, lacks a key or holds a pickled array.
    """
    if not path.is_file():
        raise ValueError(f"{path}: no such file")
    if not zipfile.is_zipfile(path):
        raise ValueError(f"{path}: not an .npz file; write it with numpy.savez_compressed")
    try:
        with np.load(path, allow_pickle=False) as archive:
            missing = [key for key in keys if key not in archive]
            arrays = {key: archive[key] for key in keys if key in archive}
    except Exception as error:  # zipfile, zlib and NumPy's reading of headers each raise kinds of their own.
        raise ValueError(f"{path}: cannot be read as arrays of numbers ({one_line(error)})") from error
    if missing:
        raise ValueError(f"{path}: expected arrays named {', '.join(keys)}; missing: {', '.join(missing)}")
    for key, array in arrays.items():
        if not isinstance(array, np.ndarray):
            raise ValueError(f"{path}: {key} is not a NumPy array; write the file with numpy.savez_compressed")
    return arrays
