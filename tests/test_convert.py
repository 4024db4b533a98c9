"""Folders of images as people have them, made into one file, and what is said of those that cannot be."""

from __future__ import annotations

import json
import os
import sys

import numpy as np
import pytest
from PIL import Image

from sparcl_ref import convert
from sparcl_ref.streams import load_dataset, npz
from sparcl_ref.streams.image_folder import find_images


def picture(path, value, shape=(6, 5, 3)):
    """An image file of random pixels, and the pixels."""
    pixels = np.random.default_rng(value).integers(0, 256, shape).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return pixels


def folder_of(root, parts=("train", "test"), classes=("cat", "dog"), count=3, **options):
    """PNG files by part and class; their pixels in the order of part, class, number."""
    written = {part: [] for part in parts}
    for part in parts:
        for name in classes:
            for number in range(count):
                value = len(written[part]) + 100 * parts.index(part)
                written[part].append(picture(root / part / name / f"{number}.png", value, **options))
    return {part: np.stack(pixels) for part, pixels in written.items()}


def run(*arguments):
    return convert.main([str(argument) for argument in arguments])


def refused(capsys, *arguments):
    """The one line that says why."""
    assert run(*arguments) == 2
    err = capsys.readouterr().err
    lines = [line for line in err.replace("\r", "\n").splitlines() if line.startswith("sparcl_ref.convert: ")]
    assert len(lines) == 1, err
    assert "Traceback" not in err
    return lines[0]


@pytest.mark.parametrize("parts", [("train", "test"), ("train", "val"), ("training", "validation")])
def test_parts_by_class(tmp_path, capsys, parts):
    pixels = folder_of(tmp_path / "pets", parts)
    assert run(tmp_path / "pets", tmp_path / "pets.npz") == 0
    out = capsys.readouterr().out
    assert "6 training and 6 test images, 3x6x5, " in out
    assert "2 classes: cat, dog" in out
    pets = load_dataset(tmp_path / "pets.npz")
    for images, part in ((pets.train_x, parts[0]), (pets.test_x, parts[1])):
        np.testing.assert_array_equal(images, np.moveaxis(pixels[part], 3, 1), strict=True)
    assert pets.train_y.tolist() == pets.test_y.tolist() == [0, 0, 0, 1, 1, 1]
    with np.load(tmp_path / "pets.npz") as archive:
        assert archive["class_names"].tolist() == ["cat", "dog"]
    assert sorted(os.listdir(tmp_path)) == ["pets", "pets.npz"]


def test_tiny_imagenet(tmp_path):
    root = tmp_path / "tiny-imagenet-200"
    for label, wnid in enumerate(("n02", "n01")):
        for number in range(2):
            picture(root / "train" / wnid / "images" / f"{wnid}_{number}.JPEG", 10 * label + number)
        (root / "train" / wnid / f"{wnid}_boxes.txt").write_text("n01_0.JPEG\t0\t0\t62\t62\n")
    for number in range(4):
        picture(root / "val" / "images" / f"val_{number}.JPEG", 50 + number)
        picture(root / "test" / "images" / f"test_{number}.JPEG", 70 + number)
    labels = ["n01", "n02", "n02", "n01"]
    lines = [f"val_{number}.JPEG\t{wnid}\t0\t32\t44\t62\n" for number, wnid in enumerate(labels)]
    (root / "val" / "val_annotations.txt").write_text("".join(reversed(lines)))
    assert run(root, tmp_path / "tiny.npz") == 0
    tiny = load_dataset(tmp_path / "tiny.npz")
    assert tiny.train_y.tolist() == [0, 0, 1, 1]
    assert tiny.test_y.tolist() == [0, 1, 1, 0]
    with Image.open(root / "val" / "images" / "val_2.JPEG") as image:
        np.testing.assert_array_equal(tiny.test_x[2], np.moveaxis(np.asarray(image), 2, 0))
    (root / "val" / "val_annotations.txt").write_text("val_0.JPEG\n")
    with pytest.raises(ValueError, match=r"val_annotations\.txt: entry 1: no class beside the file's name$"):
        find_images(root)


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_lists_as_hugging_face_exports_them(tmp_path, ending):
    rows = [{"file_name": f"{number}.png", "label": ["dog", "cat"][number % 2]} for number in range(4)]
    for part in ("train", "test"):
        for number in range(4):
            picture(tmp_path / "hf" / part / f"{number}.png", number)
        lines = {
            "csv": ["file_name,label", *(f"{row['file_name']},{row['label']}" for row in rows)],
            "jsonl": [json.dumps(row) for row in rows],
        }[ending]
        (tmp_path / "hf" / part / f"metadata.{ending}").write_text("\n".join(lines) + "\n")
    assert run(tmp_path / "hf", tmp_path / "hf.npz") == 0
    assert load_dataset(tmp_path / "hf.npz").train_y.tolist() == [1, 0, 1, 0]
    wrong = {"csv": "name,class\n0.png,dog\n", "jsonl": '{"file_name": "0.png"}\n'}[ending]
    (tmp_path / "hf" / "test" / f"metadata.{ending}").write_text(wrong)
    with pytest.raises(ValueError, match=rf"test/metadata\.{ending}: entry 1: no class beside the file's name$"):
        find_images(tmp_path / "hf")
    (tmp_path / "hf" / "test" / "metadata.jsonl").write_text("[]\n")
    (tmp_path / "hf" / "test" / "metadata.csv").unlink(missing_ok=True)
    with pytest.raises(ValueError, match=r"metadata\.jsonl: entry 1: 'list' object has no attribute 'get'$"):
        find_images(tmp_path / "hf")


def test_classes_alone_are_split_by_a_seed(tmp_path, capsys):
    folder_of(tmp_path, parts=("pets",), count=10)
    pets, out = tmp_path / "pets", tmp_path / "pets.npz"
    assert "no labelled test part (test or testing or val or" in refused(capsys, pets, out)
    assert run(pets, out, "--test-fraction", 0.3) == 0
    made = load_dataset(out)
    assert np.bincount(made.train_y).tolist() == [7, 7]
    assert np.bincount(made.test_y).tolist() == [3, 3]
    parts = {seed: find_images(pets, test_fraction=0.3, seed=seed) for seed in (0, 1)}
    for found in parts.values():
        train, test = ({path for path, _ in items} for items in (found.train, found.test))
        assert not train & test
        assert len(train | test) == 20
    assert parts[0] == find_images(pets, test_fraction=0.3)
    assert parts[0].test != parts[1].test


def test_grey_images_have_one_channel_unless_asked_otherwise(tmp_path):
    pixels = folder_of(tmp_path / "grey", shape=(6, 5))
    assert run(tmp_path / "grey", tmp_path / "one.npz") == 0
    one = load_dataset(tmp_path / "one.npz")
    np.testing.assert_array_equal(one.train_x, pixels["train"][:, None], strict=True)
    assert run(tmp_path / "grey", tmp_path / "three.npz", "--channels", 3) == 0
    assert load_dataset(tmp_path / "three.npz").input_shape == (3, 6, 5)
    picture(tmp_path / "grey" / "test" / "dog" / "0.png", 9)
    assert run(tmp_path / "grey", tmp_path / "one.npz", "--overwrite") == 0
    assert load_dataset(tmp_path / "one.npz").input_shape == (3, 6, 5), "one image has colours"


def test_images_are_resized_on_request_only(tmp_path, capsys):
    folder_of(tmp_path / "pets")
    wide = np.zeros((8, 16, 3), dtype=np.uint8)
    wide[:, 4:12] = 255  # the middle square is white
    Image.fromarray(wide).save(tmp_path / "pets" / "train" / "dog" / "9.png")
    message = refused(capsys, tmp_path / "pets", tmp_path / "pets.npz")
    assert "differ in size (6x5 and 8x16, the latter in" in message
    assert message.endswith("9.png); give --size N to resize them all")
    assert not list(tmp_path.glob("*.npz*"))
    assert run(tmp_path / "pets", tmp_path / "pets.npz", "--size", 4) == 0
    made = load_dataset(tmp_path / "pets.npz")
    assert made.input_shape == (3, 4, 4)
    assert (made.train_x[6, :, :, 1:3] == 255).all()
    assert (made.train_x[6] > 200).all(), "but for what the filter takes from beyond the edge"


def test_an_image_is_turned_as_its_camera_says(tmp_path):
    pixels = np.zeros((4, 6, 3), dtype=np.uint8)
    pixels[:, :3] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by a quarter to the right
    for part in ("train", "test"):
        for name in ("a", "b"):
            picture(tmp_path / "p" / part / name / "0.png", ord(name), shape=(6, 4, 3))
    Image.fromarray(pixels).save(tmp_path / "p" / "train" / "a" / "0.png", exif=exif)
    assert run(tmp_path / "p", tmp_path / "p.npz") == 0
    made = load_dataset(tmp_path / "p.npz")
    assert made.input_shape == (3, 6, 4)
    assert (made.train_x[0, :, :3] == 255).all()
    assert (made.train_x[0, :, 3:] == 0).all()


def test_damaged_images_are_named_and_nothing_is_written(tmp_path, capsys):
    folder_of(tmp_path / "pets", count=9)
    whole = (tmp_path / "pets" / "train" / "cat" / "0.png").read_bytes()
    for number in range(7):
        (tmp_path / "pets" / "train" / "cat" / f"{number}.png").write_bytes(whole[: 10 * number])
    message = refused(capsys, tmp_path / "pets", tmp_path / "pets.npz")
    for number in range(5):
        assert f"{number}.png (" in message
    assert "5.png" not in message
    assert "and 2 more; remove or replace them" in message
    assert os.listdir(tmp_path) == ["pets"]


def test_images_deeper_than_a_byte_are_named(tmp_path, capsys):
    folder_of(tmp_path / "pets")
    Image.fromarray(np.zeros((6, 5), dtype=np.uint16)).save(tmp_path / "pets" / "test" / "cat" / "0.png")
    message = refused(capsys, tmp_path / "pets", tmp_path / "pets.npz")
    assert "test/cat/0.png (it has pixels of mode I;16, deeper than eight bits)" in message


def test_no_image_can_be_read(tmp_path, capsys):
    for part in ("train", "test"):
        (tmp_path / "p" / part / "a").mkdir(parents=True)
        (tmp_path / "p" / part / "a" / "0.png").write_bytes(b"no image")
    assert "none of 1 training images can be read" in refused(capsys, tmp_path / "p", tmp_path / "p.npz")


def test_what_is_no_image_or_hidden_is_left_alone(tmp_path):
    folder_of(tmp_path / "pets")
    for name in ("._0.png", "notes.txt", "Thumbs.db"):
        (tmp_path / "pets" / "train" / "cat" / name).write_bytes(b"x")
    picture(tmp_path / "pets" / "train" / "__MACOSX" / "0.png", 1)
    picture(tmp_path / "pets" / "train" / ".git" / "0.png", 1)
    assert find_images(tmp_path / "pets").classes == ("cat", "dog")
    assert len(find_images(tmp_path / "pets").train) == 6


def test_requests_that_make_no_sense(tmp_path, capsys):
    folder_of(tmp_path / "pets")
    pets, out = tmp_path / "pets", tmp_path / "pets.npz"
    (tmp_path / "empty").mkdir()
    (tmp_path / "old.npz").write_bytes(b"mine")
    for arguments, message in (
        ((tmp_path / "gone", out), "gone: there is no such folder"),
        ((tmp_path / "empty", out), "empty: no images in "),
        ((pets, tmp_path / "pets.zip"), "the file to write must end in .npz, got "),
        ((pets, tmp_path / "no" / "pets.npz"), "there is no folder "),
        ((pets, tmp_path / "old.npz"), "exists already; choose another name, or --overwrite"),
        ((pets, out, "--size", 0), "--size must be at least 1, got 0"),
        ((pets, out, "--size", 10**9), "--size 1000000000 takes 3,000,000,000,000,000,000 bytes of memory, and only"),
        ((pets, out, "--seed", -1), "--seed must be at least 0, got -1"),
        ((pets, out, "--test-fraction", 1), "--test-fraction must be above 0 and below 1, got 1.0"),
        ((pets, out, "--test-fraction", "nan"), "--test-fraction must be above 0 and below 1, got nan"),
        ((pets, out, "--test-fraction", 0.5), "has a test part already; leave out --test-fraction"),
    ):
        assert message in refused(capsys, *arguments)
    assert (tmp_path / "old.npz").read_bytes() == b"mine"
    picture(pets / "test" / "eel" / "0.png", 1)
    assert "class 'eel' has no training images" in refused(capsys, pets, out)
    picture(pets / "train" / "eel" / "0.png", 1)
    picture(pets / "train" / "fox" / "0.png", 1)
    assert "class 'fox' has no test images" in refused(capsys, pets, out)
    assert not out.exists()


def test_a_place_that_cannot_be_written_to_is_one_line(tmp_path, capsys, monkeypatch):
    folder_of(tmp_path / "pets")

    def full(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    message = refused(capsys, tmp_path / "pets", tmp_path / "pets.npz")
    assert message.endswith("pets.npz: No space left on device; choose another place")
    assert os.listdir(tmp_path) == ["pets"], "nothing half-written stays"


def test_without_pillow_the_extra_is_named(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    message = refused(capsys, tmp_path, tmp_path / "x.npz")
    assert message == "sparcl_ref.convert: reading images needs Pillow: pip install 'sparcl_ref[data]'"


def test_json(tmp_path, capsys):
    folder_of(tmp_path / "pets")
    assert run(tmp_path / "pets", tmp_path / "pets.npz", "--json") == 0
    record = json.loads(capsys.readouterr().out)
    assert record["shape"] == [3, 6, 5]
    assert record["classes"] == ["cat", "dog"]
    assert record["bytes"] == (tmp_path / "pets.npz").stat().st_size


def test_what_was_written_can_be_mapped(tmp_path, monkeypatch):
    pixels = folder_of(tmp_path / "pets")
    assert run(tmp_path / "pets", tmp_path / "pets.npz") == 0
    monkeypatch.setattr(npz, "MAPPED_BYTES", 1)
    arrays = npz.read_data_set(tmp_path / "pets.npz")
    assert isinstance(arrays["train_x"], np.memmap)
    np.testing.assert_array_equal(arrays["train_x"], np.moveaxis(pixels["train"], 3, 1))
