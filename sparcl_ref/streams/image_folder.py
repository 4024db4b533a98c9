"""Image files in folders by class: which there are, and what is in one."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sparcl_ref.randomness import own_stream
from sparcl_ref.streams.stratified import set_aside
from sparcl_ref.text import one_line

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".pgm", ".ppm")
TRAIN_FOLDERS = ("train", "training")
TEST_FOLDERS = ("test", "testing", "val", "valid", "validation")

#: Image files and the name of the class of each.
Labelled = list[tuple[Path, str]]


@dataclass(frozen=True)
class ImageFolder:
    """Image files with labels 0 .. len(classes)-1, in the order of their paths."""

    classes: tuple[str, ...]
    train: list[tuple[Path, int]]
    test: list[tuple[Path, int]]


def find_images(folder: Path, *, test_fraction: float | None = None, seed: int = 0) -> ImageFolder:
    """The images of a folder, in one of these layouts; class names are sorted and numbered from 0.

    - ``train/CLASS/`` or ``train/`` with a list, and one of test, val, valid or validation, laid out alike;
    - Tiny-ImageNet's: ``train/CLASS/images/`` and ``val/images/`` with ``val/val_annotations.txt``, whose lines begin
      with a file's name and its class (its test images have no labels and are left out);
    - Hugging Face's: a part's ``metadata.csv`` or ``metadata.jsonl`` with the fields file_name and label;
    - ``CLASS/`` or ``train/CLASS/`` alone, of which ``test_fraction`` becomes the test part, stratified, drawn by
      ``seed``.

    Raises
    ------
    ValueError
        If there are no images, the parts differ in their classes, or ``test_fraction`` lacks or is not needed.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder}: there is no such folder")
    train = next(filter(None, (_part(folder / name) for name in TRAIN_FOLDERS)), [])
    tests = (_part(folder / name) for name in TEST_FOLDERS)
    test = next((found for found in tests if _named_alike(found, train)), []) if train else []
    if not train:
        train = _part(folder)
    if not train:
        raise ValueError(f"{folder}: no images in {folder}/train/CLASS or {folder}/CLASS ({', '.join(ENDINGS)})")
    classes = tuple(sorted({name for _, name in train}))
    if test and test_fraction is not None:
        raise ValueError(f"{folder} has a test part already; leave out --test-fraction")
    if test:
        _check_classes(test, classes)
        return ImageFolder(classes, _numbered(train, classes), _numbered(test, classes))
    if test_fraction is None:
        others = " or ".join(TEST_FOLDERS)
        raise ValueError(f"{folder} has no labelled test part ({others}); set one aside with --test-fraction 0.2")
    numbered = _numbered(train, classes)
    drawn = set_aside(np.array([label for _, label in numbered]), test_fraction, own_stream(seed, "test part"))
    aside = set(drawn.tolist())
    rest = [item for place, item in enumerate(numbered) if place not in aside]
    return ImageFolder(classes, rest, [numbered[place] for place in drawn])


def _images(folder: Path) -> list[Path]:
    """Image files below a folder, but what begins with a dot, as file managers leave it."""
    found = (path for path in folder.rglob("*") if path.suffix.lower() in ENDINGS and not path.name.startswith("."))
    return sorted(path for path in found if path.is_file())


def _by_class(folder: Path) -> Labelled:
    """Images of each folder in a folder, under its name."""
    inside = sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    return [(path, each.name) for each in inside if not each.name.startswith((".", "__")) for path in _images(each)]


def _part(folder: Path) -> Labelled:
    """Images with the classes that a list gives them, or else by class."""
    readers = {"val_annotations.txt": _words, "metadata.csv": _table, "metadata.jsonl": _objects}
    for name, read in readers.items():
        notes = folder / name
        if notes.is_file():
            below = folder / "images" if read is _words else folder
            lines = notes.read_text(encoding="utf-8-sig", errors="replace").splitlines()
            return sorted((below / file, label) for file, label in _pairs(notes, read(lines)))
    return _by_class(folder)


def _pairs(notes: Path, rows: Iterator[tuple[Any, Any]]) -> list[tuple[str, str]]:
    """File and class of each row of a list; ValueError names the first row that lacks one."""
    found: list[tuple[str, str]] = []
    try:
        for file, label in rows:
            if file is None or label in (None, ""):
                raise ValueError("no class beside the file's name")
            found.append((str(file), str(label)))
    except (ValueError, AttributeError, csv.Error) as error:
        raise ValueError(f"{notes}: entry {len(found) + 1}: {one_line(error)}") from error
    return found


def _words(lines: list[str]) -> Iterator[tuple[Any, Any]]:
    for line in filter(str.strip, lines):
        file, label, *_ = [*line.split(), None]
        yield file, label


def _table(lines: list[str]) -> Iterator[tuple[Any, Any]]:
    return ((row.get("file_name"), row.get("label")) for row in csv.DictReader(lines))


def _objects(lines: list[str]) -> Iterator[tuple[Any, Any]]:
    rows = map(json.loads, filter(str.strip, lines))
    return ((row.get("file_name"), row.get("label")) for row in rows)


def _named_alike(found: Labelled, train: Labelled) -> bool:
    """Whether images have classes of the training part; a folder without labels has other names, such as images."""
    return bool({name for _, name in found} & {name for _, name in train})


def _check_classes(test: Labelled, classes: tuple[str, ...]) -> None:
    named = {name for _, name in test}
    if odd := sorted(named.symmetric_difference(classes)):
        where = "training" if odd[0] in named else "test"
        raise ValueError(f"class {odd[0]!r} has no {where} images; both parts must have the same classes")


def _numbered(found: Labelled, classes: tuple[str, ...]) -> list[tuple[Path, int]]:
    numbers = {name: number for number, name in enumerate(classes)}
    return [(path, numbers[name]) for path, name in found]


def image_reader(*, size: int | None, channels: int) -> Callable[[Path], np.ndarray]:
    """A function that reads an image file as uint8 of shape (channels, H, W): luma alone, or red, green, blue.

    With ``size`` the largest square in its middle is resized to that side (Pillow's bilinear filter, which averages
    where it reduces). An image is turned as its EXIF data say; what is transparent loses its transparency. The function
    raises ValueError, naming the file, for what is damaged, no image, or deeper than eight bits.
    """
    from PIL import Image, ImageOps

    def read(path: Path) -> np.ndarray:
        try:
            with Image.open(path) as opened:
                if opened.mode.startswith(("I", "F")):
                    raise ValueError(f"it has pixels of mode {opened.mode}, deeper than eight bits")
                image = ImageOps.exif_transpose(opened).convert("L" if channels == 1 else "RGB")
                if size is not None:
                    image = ImageOps.fit(image, (size, size), method=Image.Resampling.BILINEAR)
                values = np.asarray(image)
        except MemoryError:
            raise
        except Exception as error:  # a damaged image may raise anything, from OSError to SyntaxError
            raise ValueError(f"{path} ({one_line(error)})") from error
        return values[None] if channels == 1 else np.moveaxis(values, 2, 0)

    return read


def is_grey(path: Path) -> bool:
    """Whether an image file has no colours, by its header; a damaged one counts as grey, for reading will tell."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            return image.mode in ("1", "L")
    except Exception:
        return True
