"""What every command shares: one-line errors, exit codes, and a parser made from the settings.

Of options that would be ignored: where that is certain, in a mode that never reads them or beside what contradicts
them, they are refused (`Parser.refuse_beside`). Where only another setting makes one idle there is a warning
(`sparcl_ref.presets.idle`), and so there is of an option given twice, of which the last counts: scripts that loop over
methods or add to a command do both on purpose.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from types import NoneType
from typing import Any, NoReturn, TypeVar

from sparcl_ref.config import Config, own_settings
from sparcl_ref.console import usable_streams
from sparcl_ref.methods import METHODS
from sparcl_ref.policies import POLICIES
from sparcl_ref.settings import flag, is_setting, kinds
from sparcl_ref.text import did_you_mean, one_line, shortened

FAILED = 1
REFUSED = 2
INTERRUPTED = 130

Answer = TypeVar("Answer")


class Refused(Exception):  # noqa: N818 - a request that is wrong, not a failure of the program
    """The request was wrong: one line that says what to do, exit code 2."""


class Ended(Exception):  # noqa: N818 - what was asked for may go on later
    """The command ended before its work did: one line that says why and how to go on, and an exit code."""

    def __init__(self, line: str, code: int):
        super().__init__(line)
        self.code = code


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line, without the usage before it, and that guesses no abbreviation."""

    def __init__(self, *args: Any, **options: Any):
        super().__init__(*args, **{"allow_abbrev": False, **options})

    def _print_message(self, message: str, file: Any = None) -> None:
        """As argparse has it, but what cannot be written is an error, as it is of all else that is printed."""
        stream = sys.stderr if file is None else file
        stream.write(message)
        stream.flush()

    def error(self, message: str) -> NoReturn:
        self.exit(REFUSED, f"{self.prog}: {shortened(message)} (see --help)\n")

    def parse_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> argparse.Namespace:
        arguments = sys.argv[1:] if args is None else list(args)
        found, strangers = self.parse_known_args(arguments, namespace)
        if strangers:
            # A word without dashes may have lost them.
            word = strangers[0].partition("=")[0]
            hint = did_you_mean(
                "--" + word.lstrip("-"), [name for name in self._option_string_actions if name[1] == "-"]
            )
            self.error(f"unrecognized arguments: {' '.join(strangers)}{hint}")
        for name, count in self._repeated(arguments).items():
            print(f"{self.prog}: warning: {name} is given {count} times; the last one counts", file=sys.stderr)
        return found

    def _repeated(self, arguments: Sequence[str]) -> dict[str, int]:
        """Options with a value of their own that are given more than once, and how often."""
        given: Counter[str] = Counter()
        for word in arguments[: arguments.index("--")] if "--" in arguments else arguments:
            action = self._option_string_actions.get(word.partition("=")[0])
            if isinstance(action, argparse._StoreAction | argparse.BooleanOptionalAction):
                given[action.option_strings[0]] += 1
        return {name: count for name, count in given.items() if count > 1}

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            names = [str(choice) for choice in action.choices]
            hint = did_you_mean(str(value), names)
            raise argparse.ArgumentError(action, f"invalid choice: {value!r} (choose from {', '.join(names)}){hint}")

    def refuse_beside(self, options: argparse.Namespace, mode: str, *companions: str) -> None:
        """Refuse, under an option that wants none but its companions, all others that differ from their default."""
        strangers = [
            flag(name)
            for name, value in vars(options).items()
            if name not in (mode, *companions) and value != self.get_default(name)
        ]
        if strangers:
            self.error(
                f"{flag(mode)} would ignore {', '.join(strangers)}; leave {'it' if len(strangers) == 1 else 'them'} out"
            )


def optional(convert: Callable[[str], Any]) -> Callable[[str], Any]:
    """A converter that also takes the word "none"."""

    def converted(text: str) -> Any:
        return None if text.lower() == "none" else convert(text)

    converted.__name__ = convert.__name__
    return converted


def add_plugin_option(parser: argparse.ArgumentParser) -> None:
    """Add --plugin; `load_plugins_named` has acted on it by then, for what a plugin registers has settings too."""
    parser.add_argument(
        "--plugin",
        action="append",
        metavar="FILE",
        help="a Python file or module to import first, that registers methods, policies, models or data sets",
    )


def add_data_option(parser: argparse.ArgumentParser) -> None:
    """Add --data-dir, which has its effect as soon as it is parsed."""

    def folder(text: str) -> str:
        from sparcl_ref.streams.files import look_first_in

        try:
            look_first_in(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error
        return text

    shown = "folder in which published data sets are looked for first, before those of SPARCL_REF_DATA"
    parser.add_argument("--data-dir", type=folder, metavar="DIR", help=shown)


def load_plugins_named(program: str, arguments: Sequence[str]) -> None:
    """Import what --plugin names among the arguments; `Refused` if one cannot be imported."""
    scout = Parser(prog=f"python -m {program}", add_help=False)
    add_plugin_option(scout)
    plugins = scout.parse_known_args(arguments)[0].plugin
    if plugins:
        from sparcl_ref.extensions import load_plugins

        refusing(lambda: load_plugins(plugins))


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Add a flag for every setting: the run's, then each method's and each policy's own under their names.

    A setting that is not given leaves no trace in the namespace.
    """
    group = parser.add_argument_group("settings (each overrides the preset)")
    for item in filter(is_setting, dataclasses.fields(Config)):
        _add_setting(group, Config, item, item.default)
    seen: set[str] = set()
    for kind, registry in (("method", METHODS), ("policy", POLICIES)):
        groups: dict[str, Any] = {}
        for name, owners in own_settings(registry).items():
            if name in seen:
                continue  # one flag serves a method and a policy that call a setting alike
            seen.add(name)
            title = f"settings of {kind} {', '.join(owners)}"
            groups[title] = groups.get(title) or parser.add_argument_group(title)
            defaults = {owner: item.default for owner, item in owners.items()}
            first = next(iter(owners))
            each = ", ".join(f"{owner} {default}" for owner, default in defaults.items())
            shown = each if len(set(defaults.values())) > 1 else defaults[first]
            try:
                _add_setting(groups[title], registry[first].Settings, owners[first], shown)
            except argparse.ArgumentError as error:
                raise Refused(f"the {kind} {first} declares a setting that is an option already ({error})") from error


def _add_setting(group: Any, owner: type, item: dataclasses.Field[Any], default: Any) -> None:
    shown = f"{item.metadata['help']} [{'none' if default is None else default}]".replace("%", "%%")
    options: dict[str, Any] = {"dest": item.name, "default": argparse.SUPPRESS, "help": shown}
    accepted = kinds(owner)[item.name]
    if bool in accepted:
        group.add_argument(flag(item.name), action=argparse.BooleanOptionalAction, **options)
        return
    convert = next(kind for kind in accepted if kind is not NoneType)
    choices = item.metadata["choices"] and list(item.metadata["choices"])
    group.add_argument(
        flag(item.name),
        type=optional(convert) if NoneType in accepted else convert,
        choices=choices,
        metavar=None if choices else item.name.rsplit("_", 1)[-1].upper(),
        **options,
    )


def settings_from(namespace: argparse.Namespace) -> dict[str, Any]:
    """The settings that were given, by name."""
    names = {item.name for item in filter(is_setting, dataclasses.fields(Config))}
    names |= own_settings(METHODS).keys() | own_settings(POLICIES).keys()
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


def require_counts(options: argparse.Namespace, **most: int) -> None:
    """Refuse, with a ValueError, what was given for an option by this name if it is not in 1..most."""
    for name, limit in most.items():
        value = getattr(options, name)
        if value is not None and not 1 <= value <= limit:
            bound = "at least 1" if value < 1 else f"at most {limit:,}"
            raise ValueError(f"{flag(name)} must be {bound}, got {value}")


def main_guard(program: str, body: Callable[[Sequence[str]], int], arguments: Sequence[str] | None) -> int:
    """Run a command's body and turn what it raises into one line on stderr and an exit code.

    ``body`` takes the arguments, ``sys.argv[1:]`` unless given, and returns its exit code; in all there are 0 fine,
    1 failed, 2 refused, 130 interrupted.
    """
    with usable_streams(program):
        return _guarded(program, body, sys.argv[1:] if arguments is None else arguments)


def _guarded(program: str, body: Callable[[Sequence[str]], int], arguments: Sequence[str]) -> int:
    try:
        code = body(arguments)
        sys.stdout.flush()
        return code
    except Refused as error:
        print(f"{program}: {shortened(one_line(error))}", file=sys.stderr)
        return REFUSED
    except Ended as error:
        print(f"{program}: {one_line(error)}", file=sys.stderr)
        return error.code
    except BrokenPipeError:
        # Whoever read our output has seen enough, as `| head` does. What is still buffered goes nowhere, or Python
        # would complain while it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except (MemoryError, OverflowError) as error:
        print(
            f"{program}: failed: too large for this machine ({shortened(one_line(error))}); ask for less",
            file=sys.stderr,
        )
        return FAILED
    except (FloatingPointError, OSError, RuntimeError, ValueError) as error:
        print(f"{program}: failed: {shortened(one_line(error))}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print(f"{program}: interrupted; nothing was written", file=sys.stderr)
        return INTERRUPTED
