"""The default data set: handwritten digits of 8x8 pixels, part of the package, so that a first run needs no network.

Source
    Optical Recognition of Handwritten Digits, E. Alpaydin and C. Kaynak, UCI Machine Learning Repository, 1998,
    https://doi.org/10.24432/C50P49, licence CC BY 4.0. These are the 1,797 images of its test file, optdigits.tes,
    taken from the copy in scikit-learn (``sklearn/datasets/data/digits.csv.gz``). To cite: E. Alpaydin and C. Kaynak,
    "Cascading classifiers", Kybernetika 34(4), 1998.

What was changed
    Pixels are stored as uint8 in shape (N, 1, 8, 8); their values, 0..16, say how many dots of a 4x4 block are ink.
    The images are divided into 1,437 for training and 360 for testing by this rule: order the rows by label, those of
    one label as in the file; every fifth of them, beginning with the first, is for testing. So each class has a fifth
    of its images in the test part, up to rounding. Within each part the rows keep the order of the file. No two of the
    1,797 images are equal.

What the split does not do
    It does not separate writers: the images come from 13 people, and each may be in both parts. Test accuracy speaks
    of new images, not of new handwriting.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sparcl_ref.streams.known import KnownDataset
from sparcl_ref.streams.npz import ARRAYS, read_npz

DIGITS_FILE = Path(__file__).with_name("digits.npz")
DIGITS_SHA256 = "b086734a4c7e9fe9069104bd8f90442e31ebf255ae7dbec23a9030a760bdcc42"


def read(files: Sequence[Path]) -> dict[str, np.ndarray]:
    """Read the file, or another copy of it; ValueError if its SHA-256 is not that of the file the package came with."""
    (path,) = files
    if not path.parent.is_dir():
        raise ValueError(
            f"{path}: there is no such folder, as when the package is imported from a zip file; install it with pip"
        )
    try:
        arrays = read_npz(path, ARRAYS)
    except ValueError as error:
        raise ValueError(f"{error}; reinstall sparcl_ref to restore it") from error
    found = fingerprint(arrays)
    if found != DIGITS_SHA256:
        raise ValueError(
            f"{path}: the digits are damaged, their SHA-256 begins with {found[:12]} instead of {DIGITS_SHA256[:12]}; "
            "reinstall sparcl_ref to restore them"
        )
    return arrays


def fingerprint(arrays: dict[str, np.ndarray]) -> str:
    """SHA-256 (hexadecimal) over the bytes of train_x, train_y, test_x and test_y, in this order and in C order."""
    return hashlib.sha256(b"".join(arrays[key].tobytes() for key in ARRAYS)).hexdigest()


DIGITS = KnownDataset(
    name="digits",
    title="Optical Recognition of Handwritten Digits",
    origin="E. Alpaydin and C. Kaynak, UCI Machine Learning Repository, 1998, https://doi.org/10.24432/C50P49",
    licence="CC BY 4.0",
    train=1437,
    test=360,
    input_shape=(1, 8, 8),
    classes=10,
    scale=1 / 16,
    mean=(0.305754,),  # written down, so that a run does not depend on the order of a summation
    std=(0.376217,),
    source="it comes with the package",
    home=DIGITS_FILE,
    files=lambda place: [place],
    read=read,
)
