"""The example in C: compiled and run as its README says, and caught when it is wrong."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.verify.test_command import run

FOLDER = Path(__file__).parents[2] / "tutorials" / "verify_c"
COMPILER = shutil.which("cc")

pytestmark = pytest.mark.skipif(COMPILER is None, reason="there is no C compiler called cc")


def commands() -> list[str]:
    """The shell commands of the README."""
    (block,) = re.findall(r"```sh\n(.*?)```", (FOLDER / "README.md").read_text(), flags=re.DOTALL)
    return block.splitlines()


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    folder = tmp_path_factory.mktemp("verify_c")
    shutil.copy(FOLDER / "conform.c", folder)
    return folder


def shell(command: str, folder: Path) -> subprocess.CompletedProcess:
    command = re.sub(r"^python ", f"{sys.executable} ", command)
    return subprocess.run(command, shell=True, cwd=folder, capture_output=True, text=True)


def test_the_three_commands_of_the_readme(workplace):
    done = [shell(command, workplace) for command in commands()]
    assert [one.returncode for one in done] == [0, 0, 0], [one.stderr for one in done]
    computed = int(re.match(r"(\d+) cases computed", done[1].stdout).group(1))
    assert computed > 10
    assert f"conforms in what it provides: {computed} cases passed" in done[2].stdout


def test_it_compiles_without_warnings(workplace):
    strict = f"{COMPILER} -std=c99 -O1 -Wall -Wextra -Werror -o strict conform.c -lm"
    done = shell(strict, workplace)
    assert done.returncode == 0, done.stderr


def test_a_mistake_in_it_is_found(workplace, capsys):
    source = (FOLDER / "conform.c").read_text()
    right = "dx.data[i] = x.data[i] > 0 ?"
    assert right in source
    (workplace / "wrong.c").write_text(source.replace(right, right.replace(">", ">=")))
    export, build, _ = commands()
    assert shell(export + " --only relu_backward", workplace).returncode == 0
    assert shell(build.replace("conform", "wrong"), workplace).returncode == 0
    code, out, _ = run(capsys, "--outputs", workplace / "cases" / "outputs", "--only", "relu_backward")
    assert code == 1
    assert "looks like the derivative at 0 taken as 1" in out
