"""``python -m sparcl_ref.convert``: make one file, which runs can map into memory, of a folder of images by class."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
import zipfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from sparcl_ref.command_line import Parser, Refused, main_guard, refusing, writing
from sparcl_ref.memory import require_memory
from sparcl_ref.streams.files import user_path
from sparcl_ref.streams.image_folder import ImageFolder, find_images, image_reader, is_grey

PROGRAM = "sparcl_ref.convert"
#: Damaged files, and classes, that are named; of others only the number is given.
MOST_NAMED = 5

EPILOG = """\
layouts:
  DIR/train/CLASS/*.png with DIR/test or DIR/val laid out alike
  DIR/train/CLASS/images/*.JPEG with DIR/val/val_annotations.txt (Tiny-ImageNet)
  DIR/train and DIR/test, each with metadata.csv or metadata.jsonl (file_name, label)
  DIR/CLASS/*.jpg alone, with --test-fraction

examples:
  python -m sparcl_ref.convert tiny-imagenet-200 tiny-imagenet.npz
  python -m sparcl_ref.convert flowers flowers.npz --size 64 --test-fraction 0.2
  python -m sparcl_ref.run --dataset flowers.npz --classes-per-task 1
"""


@dataclasses.dataclass(frozen=True)
class Written:
    """What a file holds: images for training and testing, the shape (C, H, W) of one, the classes' names; its size."""

    train: int
    test: int
    shape: tuple[int, int, int]
    classes: tuple[str, ...]
    bytes: int


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line as a namespace."""
    parser = Parser(
        prog=f"python -m {PROGRAM}",
        description="Make a data set for --dataset of a folder of images by class.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", metavar="DIR", help="the images")
    parser.add_argument("out", metavar="OUT.npz", help="the file to write")
    parser.add_argument("--size", type=int, metavar="N", help="resize the largest square in each middle to N x N")
    parser.add_argument("--channels", type=int, choices=(1, 3), help="[1 if no image has colours, else 3]")
    parser.add_argument("--test-fraction", type=float, metavar="F", help="set so much of each class aside for testing")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the images set aside [0]")
    parser.add_argument("--overwrite", action="store_true", help="replace OUT.npz if it exists")
    parser.add_argument("--json", action="store_true", help="print what was written as JSON")
    return parser.parse_args(arguments)


def execute(arguments: Sequence[str]) -> int:
    """Find the images, write them, say what is in the file."""
    options = parse(arguments)
    try:
        import PIL  # noqa: F401
    except ImportError as error:
        raise Refused("reading images needs Pillow: pip install 'sparcl_ref[data]'") from error
    folder, out = user_path(options.folder), user_path(options.out)
    refusing(lambda: check(options, out))
    found = refusing(lambda: find_images(folder, test_fraction=options.test_fraction, seed=options.seed))
    paths = [path for path, _ in (*found.train, *found.test)]
    channels = options.channels or (1 if all(map(is_grey, paths)) else 3)
    read = image_reader(size=options.size, channels=channels)
    part = out.with_name(out.name + ".part")
    try:
        refusing(lambda: writing(str(out), lambda: write(part, found, read)))
        record = refusing(lambda: described(part, found))
        writing(str(out), lambda: os.replace(part, out))
    finally:
        part.unlink(missing_ok=True)
    if options.json:
        print(json.dumps({"file": str(out), **dataclasses.asdict(record)}))
    else:
        shape, sizes = "x".join(str(length) for length in record.shape), f"{record.bytes:,} bytes"
        print(f"{out}: {record.train:,} training and {record.test:,} test images, {shape}, {sizes}")
        names = ", ".join(found.classes[:MOST_NAMED])
        print(f"{len(found.classes)} classes: {names}{', ...' if len(found.classes) > MOST_NAMED else ''}")
        print(f"python -m sparcl_ref.run --dataset {out}")
    return 0


def check(options: argparse.Namespace, out: Path) -> None:
    """Refuse, before anything is read, what cannot be."""
    if options.size is not None and options.size < 1:
        raise ValueError(f"--size must be at least 1, got {options.size}")
    require_memory(f"--size {options.size}", 3 * (options.size or 0) ** 2)
    if options.seed < 0:
        raise ValueError(f"--seed must be at least 0, got {options.seed}")
    if options.test_fraction is not None and not 0 < options.test_fraction < 1:
        raise ValueError(f"--test-fraction must be above 0 and below 1, got {options.test_fraction}")
    if out.suffix != ".npz":
        raise ValueError(f"the file to write must end in .npz, got {options.out}")
    if out.exists() and not options.overwrite:
        raise ValueError(f"{out} exists already; choose another name, or --overwrite to replace it")
    if not out.absolute().parent.is_dir():
        raise ValueError(f"{out}: there is no folder {out.absolute().parent}; make it first")


def write(path: Path, found: ImageFolder, read: Callable[[Path], np.ndarray]) -> None:
    """Write an archive of the data set's arrays, without compression so that it can be mapped, image by image.

    It also holds ``class_names``, in the order of the labels.

    Raises
    ------
    ValueError
        Naming images that are damaged, or two that differ in size.
    """
    from tqdm import tqdm

    shape = _first_shape(found, read)
    bad: list[str] = []
    with zipfile.ZipFile(path, "w") as archive:
        with tqdm(total=len(found.train) + len(found.test), unit="image", desc="converting", file=sys.stderr) as bar:
            for name, items in (("train", found.train), ("test", found.test)):
                with archive.open(f"{name}_x.npy", "w", force_zip64=True) as file:
                    head = {"descr": "|u1", "fortran_order": False, "shape": (len(items), *shape)}
                    np.lib.format.write_array_header_1_0(file, head)
                    for image, _ in items:
                        try:
                            values = read(image)
                        except ValueError as error:
                            bad.append(str(error))
                        else:
                            _check_shape(image, values.shape, shape)
                            file.write(values.tobytes())
                        bar.update()
                _write_array(archive, f"{name}_y", np.array([label for _, label in items], dtype=np.int64))
        _write_array(archive, "class_names", np.array(found.classes))
    if bad:
        more = f" and {len(bad) - MOST_NAMED} more" if len(bad) > MOST_NAMED else ""
        raise ValueError(f"cannot be read: {', '.join(bad[:MOST_NAMED])}{more}; remove or replace them")
    with path.open("rb") as written:
        os.fsync(written.fileno())


def _write_array(archive: zipfile.ZipFile, name: str, array: np.ndarray) -> None:
    with archive.open(f"{name}.npy", "w") as file:
        np.lib.format.write_array(file, array, allow_pickle=False)


def _first_shape(found: ImageFolder, read: Callable[[Path], np.ndarray]) -> tuple[int, ...]:
    """Shape of the first image that can be read."""
    shapes: Iterable[tuple[int, ...]] = (values.shape for values in _readable(found, read))
    shape = next(iter(shapes), None)
    if shape is None:
        raise ValueError(f"none of {len(found.train):,} training images can be read, {found.train[0][0]} among them")
    return shape


def _readable(found: ImageFolder, read: Callable[[Path], np.ndarray]) -> Iterable[np.ndarray]:
    for path, _ in found.train:
        try:
            yield read(path)
        except ValueError:
            continue


def _check_shape(path: Path, got: tuple[int, ...], expected: tuple[int, ...]) -> None:
    if got != expected:
        sizes = " and ".join(f"{height}x{width}" for _, height, width in (expected, got))
        raise ValueError(f"images differ in size ({sizes}, the latter in {path}); give --size N to resize them all")


def described(path: Path, found: ImageFolder) -> Written:
    """What is in the file, read back as a run would read it."""
    from sparcl_ref.streams import load_dataset

    dataset = load_dataset(path)
    counts = len(dataset.train_x), len(dataset.test_x)
    return Written(*counts, dataset.input_shape, found.classes, path.stat().st_size)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    return main_guard(PROGRAM, execute, arguments)


if __name__ == "__main__":
    sys.exit(main())
