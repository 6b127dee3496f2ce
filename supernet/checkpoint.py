"""How files are written and read: weights as safetensors with a JSON header, the rest as JSON. Nothing is unpickled.

Every file is written beside its name and renamed.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes

FORMAT = 1


def write(path: Path, content: bytes) -> None:
    """All of `content` or nothing: a kill or a full disk at any moment leaves the old file whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".part")
    try:
        with open(beside, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def save(path: Path, tensors: dict[str, torch.Tensor], meta: dict) -> None:
    """`meta` is anything JSON can hold; tensors may live on any device."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write(path, to_bytes(tensors, {"fairfront": json.dumps({"format": FORMAT, **meta})}))


def load(path: Path, kind: str) -> tuple[dict[str, torch.Tensor], dict]:
    """Tensors and meta as saved. ValueError if the file is damaged, of another format or not of this `kind`."""
    with _opened(path, kind) as (file, meta):
        return {name: file.get_tensor(name) for name in file.keys()}, meta  # noqa: SIM118 (not a dict)


def meta(path: Path, kind: str) -> dict:
    """As `load`, the meta alone: no tensor is read."""
    with _opened(path, kind) as (_, meta):
        return meta


def resume(path: Path, meta: dict, flag: str) -> tuple[dict[str, torch.Tensor], list[dict]]:
    """The tensors and the history that a training goes on from; both empty if there is no `path` yet.

    ValueError if it was trained with anything else than `meta` says; another `flag` begins afresh.
    """
    if not path.exists():
        return {}, []
    tensors, saved = load(path, meta["kind"])
    for key in meta.keys() & saved.keys():
        if meta[key] != saved[key]:
            raise ValueError(f"{path} was trained with {key} {saved[key]}, not {meta[key]}; use another {flag}")
    return tensors, saved["history"]


@contextmanager
def _opened(path: Path, kind: str) -> Iterator[tuple[safe_open, dict]]:
    try:
        with safe_open(path, framework="pt") as file:
            meta = json.loads((file.metadata() or {}).get("fairfront", "{}"))
            if meta.get("format") != FORMAT or meta.get("kind") != kind:
                raise ValueError(f"{path} is no {kind} of format {FORMAT}; delete it or use another folder")
            yield file, meta
    except (SafetensorError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is damaged ({error}); delete it to begin this part again") from error


def save_json(path: Path, content: dict) -> None:
    """`content` and the format number."""
    write(path, json.dumps({"format": FORMAT, **content}, indent=1).encode())


def load_json(path: Path, keys: set[str], mend: str) -> dict:
    """What `save_json` wrote; ValueError, with the `mend`, if it is damaged, lacks a key or has another format."""
    try:
        content = json.loads(path.read_text())
        found = content["format"]
        whole = keys <= content.keys()
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"{path} is damaged ({error!r}); {mend}") from error
    if found != FORMAT:
        raise ValueError(f"{path} has format {found}, this version reads {FORMAT}; {mend}")
    if not whole:
        raise ValueError(f"{path} is damaged: it lacks {', '.join(sorted(keys - content.keys()))}; {mend}")
    return content
