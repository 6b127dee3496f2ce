"""Weights in files: safetensors with a JSON header, and checksums of both (supernet/files.py). Nothing is unpickled."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import nn

from supernet.files import FORMAT, MARK, Damaged, check_file, check_format, checksum, write

MEND = "delete it to begin this part again"
AFRESH = "begin again in another folder"


def save(path: Path, tensors: dict[str, torch.Tensor], meta: dict, keep: bool = False) -> None:
    """`meta` is anything JSON can hold; tensors may live on any device. With `keep` the one before stays: `resume`."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    text = json.dumps({"format": FORMAT, "tensors": _digest(tensors), **meta})
    content = to_bytes(tensors, {"fairfront": text, "checksum": checksum(text)})
    write(path, content, previous(path) if keep else None)


def load(path: Path, kind: str) -> tuple[dict[str, torch.Tensor], dict]:
    """Tensors and meta as saved. ValueError if the file is damaged, of another format or not of this `kind`."""
    with _opened(path, kind) as (file, meta, sealed):
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    if sealed and sealed != _digest(tensors):
        raise Damaged(f"{path} is damaged: its weights are not those of its checksum; {MEND}")
    return tensors, meta


def meta(path: Path, kind: str) -> dict:
    """As `load`, the meta alone: no tensor is read."""
    with _opened(path, kind) as (_, meta, _):
        return meta


def previous(path: Path) -> Path:
    """Where the checkpoint before the one at `path` is kept."""
    return path.with_name(f"{path.stem}.previous{path.suffix}")


def resume(path: Path, meta: dict, flag: str) -> tuple[dict[str, torch.Tensor], list[dict]]:
    """The tensors and the history that a training goes on from; both empty if there is no `path` yet.

    Of the two checkpoints kept, the newer one that is whole: it says so if that is the one before, which then takes
    the place of the damaged one. ValueError if it was trained with anything else than `meta` says; another `flag`
    begins afresh.
    """
    found = _newest(path, meta["kind"])
    if found is None:
        return {}, []
    tensors, saved = found
    for key in meta.keys() & saved.keys():
        if meta[key] != saved[key]:
            raise ValueError(f"{path} was trained with {key} {saved[key]}, not {meta[key]}; use another {flag}")
    return tensors, saved["history"]


def _newest(path: Path, kind: str) -> tuple[dict[str, torch.Tensor], dict] | None:
    before = previous(path)
    try:
        if path.exists():
            return load(path, kind)
    except Damaged as error:
        if not before.exists():
            raise
        print(f"{str(error).partition(';')[0]}: going on from the checkpoint before it")
    if not before.exists():
        return None
    found = load(before, kind)
    before.replace(path)
    return found


def fill(net: nn.Module, weights: dict[str, torch.Tensor], path: Path, mend: str = AFRESH) -> None:
    """Puts the weights, which are from `path`, into `net`; ValueError if they are another network's."""
    try:
        net.load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(
            f"{path} holds the weights of another network than the one that is built here, as after a change of the "
            f"search space; {mend}"
        ) from error


@contextmanager
def _opened(path: Path, kind: str) -> Iterator[tuple[safe_open, dict, str | None]]:
    """The file, its meta, and the checksum of its tensors."""
    check_file(path)
    try:
        with safe_open(path, framework="pt") as file:
            meta = _meta(path, kind, file.metadata() or {})
            yield file, meta, meta.pop("tensors", None)
    except SafetensorError as error:
        raise Damaged(f"{path} is damaged ({error}); {MEND}") from error


def _meta(path: Path, kind: str, header: dict[str, str]) -> dict:
    text, sealed = header.get("fairfront", "{}"), header.get("checksum")
    if (sealed or MARK in text) and sealed != checksum(text):
        raise Damaged(f"{path} is damaged: its header is not that of its checksum; {MEND}")
    try:
        meta = dict(json.loads(text))
    except (ValueError, TypeError, RecursionError) as error:
        raise Damaged(f"{path} is damaged ({error}); {MEND}") from error
    if meta.get("kind") != kind:
        raise ValueError(f"{path} is no {kind} of FairFront; delete it or use another folder")
    check_format(path, meta.get("format"), FORMAT)
    return meta


def _digest(tensors: dict[str, torch.Tensor]) -> str:
    """Of names, types, shapes and bytes."""
    digest = hashlib.blake2b(digest_size=16)
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)} ".encode())
        digest.update(tensor.contiguous().flatten().view(torch.uint8).numpy().data)
    return MARK + digest.hexdigest()
