"""Damages the files of a run folder at random, one at a time, and looks what their readers make of it.

Each must find the damage and refuse in one line, use the checkpoint before, or give what was there (a bit that says
nothing, such as white space, may differ). Anything else is a silent wrong result or a crash.
"""

import random
from collections import Counter
from collections.abc import Callable
from contextlib import closing, redirect_stdout
from io import StringIO
from pathlib import Path

import results
from evo.archive import Archive
from results import front, reading, trained
from supernet import checkpoint, run_folder

REPORTED = 0.25  # of the damages are shown to the report too, which reads everything
REFUSED = (ValueError, OSError)  # what the scripts' door turns into one line


def damage(content: bytes, rng: random.Random) -> bytes:
    """Cut off, or with a bit, some bytes or a block changed."""
    how, at = rng.choice(("cut", "bit", "bit", "bytes", "block")), rng.randrange(len(content))
    if how == "cut":
        return content[:at]
    changed = bytearray(content)
    if how == "bit":
        changed[at] ^= 1 << rng.randrange(8)
    elif how == "bytes":
        for _ in range(rng.randint(2, 8)):
            changed[rng.randrange(len(content))] = rng.randrange(256)
    else:
        changed[at : at + 512] = bytes(len(changed[at : at + 512]))
    return bytes(changed)


def kind(path: Path) -> str:
    """Of checkpoint at `path`."""
    part = path.name.partition("-")[0].partition(".")[0]
    return {"supernet": "supernet", "proposer": "relaxation"}.get(part, "stand-alone")


def _weights(found: tuple) -> tuple:
    tensors, meta = found
    return {name: tensor.numpy().tobytes() for name, tensor in tensors.items()}, repr(meta)


def _archive(path: Path) -> tuple:
    archive = Archive(path)
    with closing(archive.db):
        found = archive.everything()
        lines = [archive.find(encoding) for encoding in found.encodings[::7]]
        return found.encodings.tolist(), found.rows.tolist(), found.proposers, lines, archive.hypervolumes()


def _report(folder: Path) -> str:
    """What the page is made of; ValueError if it names a problem, as it then does on the page."""
    run = reading.read(folder)
    if run.problems:
        raise ValueError(run.problems[0])
    return repr((run.settings, run.front, run.names, run.supernet, run.trained, run.ranking, *map(list, run.scored)))


def readers(folder: Path, path: Path) -> dict[str, Callable[[], object]]:
    """What of ours reads the file at `path`."""
    found: dict[str, Callable[[], object]] = {"report": lambda: _report(folder)}
    if path.name == "settings.json":
        found["settings"] = lambda: run_folder.require(folder)
    elif path.name == "front.json":
        found["front"] = lambda: front.load(folder)
    elif path.name == "archive.sqlite":
        found["archive"] = lambda: _archive(path)
    elif path.parent.name == "trained":
        name = path.name.partition(".")[0]
        found["card"] = lambda: trained.card(folder, name)
        found["network"] = lambda: {
            key: value.numpy().tobytes() for key, value in results.load(folder, name).state_dict().items()
        }
    if path.suffix == ".safetensors":
        found["weights"] = lambda: _weights(checkpoint.load(path, kind(path)))
        found["meta"] = lambda: repr(checkpoint.meta(path, kind(path)))
    return found


def attack(folder: Path, cases: int, seed: int) -> Counter:
    """How often a reader of a damaged file gave "same", "refused", "previous", or "WRONG" or an error's name.

    The folder is as before afterwards.
    """
    rng, found = random.Random(seed), Counter()
    paths = [path for path in sorted(folder.rglob("*")) if path.suffix in (".json", ".sqlite", ".safetensors")]
    expected = {path: {name: read() for name, read in readers(folder, path).items()} for path in paths}
    for _ in range(cases):
        path = rng.choice(paths)
        whole = path.read_bytes()
        path.write_bytes(damage(whole, rng))
        for name, read in readers(folder, path).items():
            if name != "report" or rng.random() < REPORTED:
                found[_outcome(read, expected[path][name])] += 1
        path.write_bytes(whole)
        if checkpoint.previous(path) in expected:
            found[_goes_on(path, rng)] += 1
    return found


def _outcome(read: Callable[[], object], expected: object) -> str:
    try:
        return "same" if read() == expected else "WRONG"
    except REFUSED as error:
        return "refused" if str(error) and "\n" not in str(error).strip() else f"UNCLEAR {error!r}"
    except Exception as error:  # a traceback for the user
        return f"{type(error).__name__} {error}"


def _goes_on(path: Path, rng: random.Random) -> str:
    """What a training goes on from if its newest checkpoint, or at times both, are damaged."""
    before = checkpoint.previous(path)
    whole, older = path.read_bytes(), before.read_bytes()
    expected = {_state(path): "same", _state(before): "previous"}
    path.write_bytes(damage(whole, rng))
    if rng.random() < 0.2:
        before.write_bytes(damage(older, rng))
    try:
        with redirect_stdout(StringIO()):
            tensors, history = checkpoint.resume(path, {"kind": kind(path)}, "--run")
        return expected.get(_key(tensors, history), "WRONG")
    except REFUSED:
        return "refused"
    except Exception as error:
        return f"{type(error).__name__} {error}"
    finally:
        path.write_bytes(whole)
        before.write_bytes(older)


def _state(path: Path) -> tuple:
    tensors, meta = checkpoint.load(path, kind(path))
    return _key(tensors, meta["history"])


def _key(tensors: dict, history: list) -> tuple:
    return tuple((name, tensor.numpy().tobytes()) for name, tensor in sorted(tensors.items())), repr(history)
