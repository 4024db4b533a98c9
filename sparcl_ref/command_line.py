"""What every command shares: one-line errors, exit codes, and a parser made from the settings."""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, TypeVar

from sparcl_ref.config import Config, flag
from sparcl_ref.text import one_line

FAILED = 1
REFUSED = 2
INTERRUPTED = 130

Answer = TypeVar("Answer")


class Refused(Exception):  # noqa: N818 - a request that is wrong, not a failure of the program
    """The request was wrong: one line that says what to do, exit code 2."""


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line, without the usage before it."""

    def error(self, message: str) -> NoReturn:
        self.exit(REFUSED, f"{self.prog}: {message} (see --help)\n")


def optional(convert: Callable[[str], Any]) -> Callable[[str], Any]:
    """A converter that also takes the word "none"."""

    def converted(text: str) -> Any:
        return None if text.lower() == "none" else convert(text)

    converted.__name__ = convert.__name__
    return converted


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Add a flag for every field of `Config`; one that is not given leaves no trace in the namespace."""
    group = parser.add_argument_group("settings (each overrides the preset)")
    for item in dataclasses.fields(Config):
        shown = f"{item.metadata['help']} [{'none' if item.default is None else item.default}]".replace("%", "%%")
        options: dict[str, Any] = {"dest": item.name, "default": argparse.SUPPRESS, "help": shown}
        if isinstance(item.default, bool):
            group.add_argument(flag(item.name), action=argparse.BooleanOptionalAction, **options)
            continue
        kind = item.metadata.get("type")
        convert = optional(kind) if kind else type(item.default)
        choices = item.metadata.get("choices")
        metavar = None if choices else item.name.rsplit("_", 1)[-1].upper()
        group.add_argument(flag(item.name), type=convert, choices=choices, metavar=metavar, **options)


def settings_from(namespace: argparse.Namespace) -> dict[str, Any]:
    """The settings that were given, by field name."""
    names = {item.name for item in dataclasses.fields(Config)}
    return {name: value for name, value in vars(namespace).items() if name in names}


def refusing(action: Callable[[], Answer]) -> Answer:
    """What an action returns; its complaint about the request (ValueError) becomes a refusal."""
    try:
        return action()
    except ValueError as error:
        raise Refused(str(error)) from error


def writing(place: str, action: Callable[[], Answer], *, advice: str = "choose another place") -> Answer:
    """What an action returns that writes to ``place``; what the file system says against it becomes a refusal."""
    try:
        return action()
    except OSError as error:
        raise Refused(f"cannot write to {place}: {error.strerror}; {advice}") from error


def main_guard(program: str, body: Callable[[Sequence[str]], int], arguments: Sequence[str] | None) -> int:
    """Run a command's body and turn what it raises into one line on stderr and an exit code.

    Parameters
    ----------
    program : str
        How the command calls itself.
    body : callable
        Takes the arguments, returns the exit code.
    arguments : sequence of str, optional
        ``sys.argv[1:]`` unless given.

    Returns
    -------
    int
        0 fine, 1 failed, 2 refused, 130 interrupted.
    """
    try:
        code = body(sys.argv[1:] if arguments is None else arguments)
        sys.stdout.flush()
        return code
    except Refused as error:
        print(f"{program}: {one_line(error)}", file=sys.stderr)
        return REFUSED
    except BrokenPipeError:
        # Whoever read our output has seen enough, as `| head` does. What is still buffered goes nowhere, or Python
        # would complain while it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except (FloatingPointError, OSError, RuntimeError, ValueError) as error:
        print(f"{program}: failed: {one_line(error)}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print(f"{program}: interrupted; nothing was written", file=sys.stderr)
        return INTERRUPTED
