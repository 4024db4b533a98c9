"""Downloads, from a server in this process: checked, unpacked, found afterwards, and refused in one line."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import http.server
import sys
import tarfile
import threading

import numpy as np
import pytest

from sparcl_ref import run
from sparcl_ref.streams import DATASETS, catalogue, load_dataset
from sparcl_ref.streams import files as files_module
from sparcl_ref.streams.cifar100 import CIFAR100
from sparcl_ref.streams.download import Remote
from sparcl_ref.streams.fashion_mnist import FASHION_MNIST
from tests.streams.conftest import EXCERPT
from tests.streams.idx_files import FILES
from tests.streams.test_cifar100 import as_binary, records


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@pytest.fixture
def server(tmp_path):
    """A folder, and the address at which a server offers it."""
    pytest.importorskip("pooch")
    folder = tmp_path / "server"
    folder.mkdir()
    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as service:
        thread = threading.Thread(target=service.serve_forever)
        thread.start()
        yield folder, f"http://127.0.0.1:{service.server_port}/"
        service.shutdown()
        thread.join()


@pytest.fixture
def data(tmp_path, monkeypatch):
    """An empty data folder, and none of the system's."""
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setenv("SPARCL_REF_DATA", str(folder))
    monkeypatch.setattr(files_module, "SYSTEM_FOLDER", tmp_path / "none")
    return folder


def offered(folder, address, name, contents, into=""):
    (folder / name).write_bytes(contents)
    return Remote(address + name, hashlib.md5(contents).hexdigest(), into)


def test_files_are_fetched_where_they_are_found(server, data):
    contents = {name: (EXCERPT / "fashion-mnist" / name).read_bytes() for name in FILES}
    remotes = tuple(offered(*server, name, data, "fashion-mnist") for name, data in contents.items())
    fashion = dataclasses.replace(FASHION_MNIST, remotes=remotes)
    assert "or --download" in fashion.row[-1]
    (data / "fashion-mnist").mkdir()
    (data / "fashion-mnist" / FILES[0]).write_bytes(b"")  # an interrupted download counts as none
    fashion.download()
    assert fashion.find() == data / "fashion-mnist"
    np.testing.assert_array_equal(fashion().train_x, FASHION_MNIST(EXCERPT / "fashion-mnist").train_x, strict=True)
    for remote in remotes:
        (server[0] / remote.url.rsplit("/", 1)[-1]).unlink()
    fashion.download()  # found: nothing is asked for


def test_an_archive_is_unpacked(server, data, tmp_path):
    inside = tmp_path / "cifar-100-binary"
    inside.mkdir()
    for name, count in (("train", 200), ("test", 100)):
        (inside / f"{name}.bin").write_bytes(as_binary(*records(count, 0)))
    with tarfile.open(tmp_path / "archive", "w:gz") as archive:
        archive.add(inside, arcname="cifar-100-binary")
    remote = offered(*server, "cifar-100-binary.tar.gz", (tmp_path / "archive").read_bytes())
    cifar = dataclasses.replace(CIFAR100, remotes=(remote,))
    cifar.download()
    assert cifar.find() == data / "cifar-100-binary"
    assert len(cifar().train_x) == 200


def test_another_checksum_or_no_server_is_one_line_and_leaves_nothing(server, data):
    remote = offered(*server, "a.gz", b"contents", "toy")
    for wrong, message in (
        (dataclasses.replace(remote, md5="0" * 32), "does not match the known hash"),
        (dataclasses.replace(remote, url=server[1] + "gone.gz"), "404"),
        (dataclasses.replace(remote, url="http://127.0.0.1:1/a.gz"), "cannot be downloaded"),
    ):
        toy = dataclasses.replace(FASHION_MNIST, remotes=(wrong,))
        with pytest.raises(ValueError, match=message) as caught:
            toy.download()
        assert str(caught.value).startswith(f"{wrong.url}: cannot be downloaded (")
        assert "\n" not in str(caught.value)
        assert not [path for path in data.rglob("*") if path.is_file()]


def test_the_command_fetches_what_is_missing_before_anything_else(data, monkeypatch, capsys):
    fetched = []
    monkeypatch.setattr(catalogue.KnownDataset, "download", lambda known: fetched.append(known.name))
    assert run.main(["--dataset", "mnist", "--download"]) == 2
    assert fetched == ["mnist"]
    assert run.main(["--dataset", "mnist"]) == 2
    assert fetched == ["mnist"]
    assert "mnist: no mnist or " in capsys.readouterr().err


def test_without_a_folder_or_pooch_the_way_out_is_named(data, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(ValueError, match=r"^--download needs pooch: pip install 'sparcl_ref\[data\]'$"):
        FASHION_MNIST.download()
    monkeypatch.delenv("SPARCL_REF_DATA")
    with pytest.raises(ValueError, match=r"^--download needs --data-dir DIR \(or SPARCL_REF_DATA\), the folder to"):
        FASHION_MNIST.download()
    with pytest.raises(ValueError, match=r"^fashion-mnist cannot be downloaded from here; get it: apt-get "):
        dataclasses.replace(FASHION_MNIST, remotes=()).download()


def test_what_is_there_needs_no_download(excerpt, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    catalogue.download_missing(["digits", "fashion-mnist", "no name", "mine.npz"])
    assert load_dataset("fashion-mnist").name == "fashion-mnist"


def test_every_published_data_set_has_whole_checksums():
    for known in DATASETS.values():
        for remote in known.remotes:
            assert len(bytes.fromhex(remote.md5)) == 16
            assert remote.url.startswith("http")
            assert remote.folder in ("", *known.places)
