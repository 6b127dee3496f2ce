"""What every script does at its door: flags from a config dataclass, one line for every error, exit code 2."""

import contextlib
import io
import os
import re
import shlex
import shutil
import signal
import sqlite3
import sys
import textwrap
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import torch
import tyro

from supernet import run_folder

# Types of flags that may be left out; the flag's text says what happens then.
Text = Annotated[str | None, tyro.conf.arg(metavar="STR", help_behavior_hint="")]
Whole = Annotated[int | None, tyro.conf.arg(metavar="INT", help_behavior_hint="")]
Real = Annotated[float | None, tyro.conf.arg(metavar="FLOAT", help_behavior_hint="")]
Run = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RUN", help_behavior_hint="")]


def call(main: Callable, config_type: type, description: str) -> None:
    """Runs main(config) and exits: 0 done, 2 with one line for wrong input, 130 after Ctrl-C, 143 after SIGTERM.

    A config with a `folder` takes what that run was begun with as its defaults, so that the same `--run` goes on; a new
    run with a `supernet_of` takes what that supernet was trained with.
    """
    signal.signal(signal.SIGTERM, _terminate)
    try:
        config = parse(config_type, sys.argv[1:], description)
        if hasattr(config, "folder"):
            saved = run_folder.begun(Path(config.folder), getattr(config, "supernet_of", None))
            default = run_folder.merge(config_type(), saved)
            config = parse(config_type, sys.argv[1:], description, default)
        main(config)
    except KeyboardInterrupt as stop:
        command = shlex.join(["python", *sys.argv])
        print(f"\nstopped; nothing finished is lost. To go on: {command}", file=sys.stderr)
        sys.exit(128 + (signal.SIGTERM if isinstance(stop, Terminated) else signal.SIGINT))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader of our output has left
        sys.exit(1)
    except torch.OutOfMemoryError:
        print("error: out of GPU memory; use a smaller --memory or --batch-size, or free the GPU", file=sys.stderr)
        sys.exit(2)
    except (ValueError, OSError, ArithmeticError, MemoryError, RecursionError, sqlite3.Error) as error:
        _fail(error)
    except RuntimeError as error:
        if "can't allocate memory" not in str(error):  # PyTorch's word for it
            raise
        _fail(error)


class Terminated(KeyboardInterrupt):
    """SIGTERM, as Ctrl-C: whoever ends a job finds it as whole, and nothing locked."""


def _terminate(*_) -> None:
    raise Terminated


def _fail(error: Exception) -> None:
    """One line, whatever the error's text holds."""
    mend = "; use a smaller --memory or --batch-size" if type(error) in (MemoryError, RuntimeError) else ""
    text = "".join(letter if letter.isprintable() else " " for letter in str(error) or type(error).__name__)
    print(f"error: {' '.join(text.split())}{mend}", file=sys.stderr)
    sys.exit(2)


def parse(config_type: type, argv: Sequence[str], description: str, default=None):
    """The config that the flags say; ValueError with one line instead of tyro's box."""
    options = {} if default is None else {"default": default}
    box = io.StringIO()
    try:
        with contextlib.redirect_stderr(box):
            marked = tyro.conf.OmitArgPrefixes[config_type]
            config = (tyro.conf.AvoidSubcommands,)
            return tyro.cli(marked, args=argv, description=_wrapped(description), config=config, **options)
    except SystemExit as end:
        if end.code in (0, None):
            raise
        raise ValueError(f"{_message(box.getvalue())} (--help lists every flag)") from None


def _wrapped(description: str) -> str:
    """As wide as the terminal, commands as they are; tyro joins all lines but those that begin with a space."""
    wrap = partial(textwrap.fill, width=shutil.get_terminal_size().columns, initial_indent=" ", subsequent_indent=" ")
    paragraphs = re.split(r"\n\n|\n+(?=    )", description.strip())
    return "\n".join(text if text.startswith("    ") else wrap(text) for text in paragraphs)


def _message(box: str) -> str:
    """What tyro's error box says, without its frame, its title and its help."""
    lines = [line.strip(" │") for line in box.splitlines()]
    sections = [[]]
    for line in lines:
        if line and set(line) <= set("─-"):
            sections.append([])
        elif line and line[0] not in "╭╰":
            sections[-1].append(line)
    framed = box.startswith("╭")  # where the output can show it; else the title stands above a rule
    text = " ".join(sections[0 if framed else 1])
    text = text.partition(" Got errors:")[0]
    text = re.sub(r"no type matching \{None\}\|(\w+) could be instantiated from \[(.*)\]\.", r"\2 is no \1", text)
    return re.sub(r"^Error parsing (?!--)[\w.]+: ", "", text)
