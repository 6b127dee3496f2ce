"""How files are written and read: all of a file or nothing, with a format number and a checksum. Nothing is unpickled.

JSON: {"format": 1, "checksum": "blake2b:...", ...}; weights: supernet/checkpoint.py; evaluations: evo/archive.py.
Files of before there were checksums have none and are read as they are; one changed by hand says "checksum": null.
"""

import contextlib
import hashlib
import json
import os
from pathlib import Path

FORMAT = 1
MARK = "blake2b:"
KEPT = "what was saved before is whole, and the same command goes on from it"


class Damaged(ValueError):
    """A file that is not as it was written."""


def write(path: Path, content: bytes, keep: Path | None = None) -> None:
    """All of `content` or nothing: a kill, a full disk or a lost mount at any moment leaves the old file whole.

    The old file is kept as `keep`, if that is asked for. The folder must be there: one that is not was taken away
    while we worked, and is not made again elsewhere. OSError says what could not be written.
    """
    beside = path.with_name(path.name + ".part")
    try:
        beside.unlink(missing_ok=True)
        with open(beside, "xb") as file:  # never through a link that a stranger left there
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if keep is not None and path.exists():
            os.replace(path, keep)
        os.replace(beside, path)
        _sync(path.parent)
    except OSError as error:
        raise OSError(f"{path} could not be written ({error.strerror}); mend that: {KEPT}") from error
    finally:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    """Makes the new name last, should the power fail."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def checksum(text: str) -> str:
    return MARK + hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def save_json(path: Path, content: dict) -> None:
    """`content`, the format number and the checksum of both."""
    content = {"format": FORMAT, **content}
    write(path, json.dumps({"format": FORMAT, "checksum": checksum(json.dumps(content)), **content}, indent=1).encode())


def load_json(path: Path, keys: set[str], mend: str) -> dict:
    """What `save_json` wrote; ValueError, with the `mend`, if it is damaged, lacks a key or has another format."""
    check_file(path)
    try:
        text = path.read_text()
        content = json.loads(text)
        found, sealed = content["format"], content.pop("checksum", MARK in text)
        whole = keys <= content.keys()
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise Damaged(f"{path} is damaged ({error!r}); {mend}") from error
    if sealed and sealed != checksum(json.dumps(content)):
        by_hand = 'if you changed it by hand, let it say "checksum": null'
        raise Damaged(f"{path} is damaged: its checksum is not that of its content; {mend}; {by_hand}")
    check_format(path, found, FORMAT)
    if not whole:
        raise Damaged(f"{path} is damaged: it lacks {', '.join(sorted(keys - content.keys()))}; {mend}")
    return content


def check_file(path: Path) -> None:
    """ValueError if something else than a file has its name, such as a pipe that would never end."""
    if path.exists() and not path.is_file():
        raise ValueError(f"{path} is no file: take it away")


def check_format(path: Path, found, known: int) -> None:
    """ValueError says what to do about a file of a later format, or of none."""
    if type(found) is int and 1 <= found <= known:
        return
    if type(found) is int and found > known:
        raise ValueError(
            f"{path} has format {found}, this version of FairFront reads up to {known}: update FairFront, "
            "or use another --run"
        )
    raise Damaged(f"{path} is damaged: it has format {found!r}, and there are 1 to {known}; use another --run")
