"""A run folder: what was asked for, on which data, and nothing of another search.

settings.json: {"format": 1, "settings": {part: {flag: value}}, "space": what `search_spaces.load` takes,
"data": the images' fingerprint, "versions": {...}}. The parts are "supernet" and "search".
"""

import dataclasses
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from supernet.files import load_json, save_json

PACKAGES = ("fairfront", "torch", "torchvision", "numpy", "pymoo")
# These may change from call to call, and are not kept.
FREE = {"run", "device", "threads", "memory", "compile", "paths_per_pass", "parts", "workers", "ray"}
CODE = "::"  # names a function in a file
# These are kept, and may be said anew: budgets, and where the data lie, which their fingerprint tells apart.
ANEW = {"evaluations", "generations", "minutes", "stalled", "data_root", "table"}


def read(folder: Path) -> dict:
    """The run's settings.json; empty if there is none. ValueError if it cannot be ours."""
    path = folder / "settings.json"
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file: a run needs a folder")
    if not path.exists():
        return {}
    return load_json(path, {"settings", "space", "data"}, "use another --run")


def require(folder: Path) -> dict:
    """As `read`, but the run must exist."""
    saved = read(folder)
    if not saved:
        raise ValueError(f"{folder} is no run folder: it has no settings.json (python evo/search.py makes one)")
    return saved


def by_loss(saved: dict) -> bool:
    """Whether the run with this settings.json was searched by loss."""
    try:
        return bool(saved["settings"]["search"]["by_loss"])
    except (KeyError, TypeError):  # not searched, or damaged
        return False


def begun(folder: Path, other: str | None = None) -> dict[str, dict]:
    """The settings by part that the run in `folder` goes on with; before it has any, the supernet's of run `other`."""
    own = read(folder).get("settings", {})
    if own or not other:
        return own
    return {"supernet": require(Path(other))["settings"].get("supernet", {})}


def merge(config, saved: dict):
    """The config with the saved settings in place of its own; `saved` maps parts to settings.

    What names code to run, FILE.py::FUNCTION, is left out: it must be said in every call, for the folder may be a
    stranger's. ValueError if they are of the wrong types.
    """

    def fill(config):
        fields = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
        for name, value in fields.items():
            if dataclasses.is_dataclass(value):
                fields[name] = fill(value)
            elif name in settings and name not in FREE and CODE not in str(settings[name]):
                fields[name] = tuple(settings[name]) if isinstance(value, tuple) else settings[name]
        return type(config)(**fields)

    try:
        settings = {name: value for part in saved.values() for name, value in part.items()}
        if CODE in str(settings.get("objectives")):
            settings.pop("crowding_weights", None)  # which are the objectives' weights
        return fill(config)
    except (TypeError, AttributeError) as error:
        raise ValueError(f"settings.json is damaged ({error}); use another --run") from error


def flat(config) -> dict:
    """The settings of a config and of the configs in it, as JSON values, without those that may change."""
    settings = {}
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            settings |= flat(value)
        elif field.name not in FREE:
            settings[field.name] = list(value) if isinstance(value, tuple) else value
    return settings


def by_part(parts: dict) -> dict[str, dict]:
    """The settings of configs by part, each in the first part that has it."""
    found: dict[str, dict] = {}
    for part, config in parts.items():
        earlier = set().union(*found.values())
        found[part] = {name: value for name, value in flat(config).items() if name not in earlier}
    return found


def check(folder: Path, parts: dict, space: dict, data: dict) -> dict:
    """What `folder` says of its run, if of any; ValueError names every setting that is not as it was.

    `parts` maps "supernet", "search" to their configs, of which a later one may hold an earlier one. What is not saved,
    for it was no setting yet when the run began, was as it is by default.
    """
    saved = read(folder)
    if saved:
        usual = by_part({part: type(config)() for part, config in parts.items()})
        for part, settings in by_part(parts).items():
            old = {**usual[part], **saved["settings"].get(part, settings)}
            _same(folder, {**old, **{k: settings[k] for k in ANEW & settings.keys()}}, settings, _flag)
        _same(folder, saved["space"], space, "the space's {}".format)
        _same(folder, saved["data"], data, "the data's {}".format)
    return saved


def claim(folder: Path, parts: dict, space: dict, data: dict) -> None:
    """Makes `folder` this run's, after `check`."""
    saved = check(folder, parts, space, data)
    settings = {**saved.get("settings", {}), **by_part(parts)}
    if settings != saved.get("settings"):
        versions = {"python": platform.python_version(), **{name: installed(name) for name in PACKAGES}}
        content = {"settings": settings, "space": space, "data": data, "versions": versions}
        save_json(folder / "settings.json", content)


def installed(package: str) -> str | None:
    """Its version; None if it is not there as a package, as FairFront itself in a bare checkout."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _same(folder: Path, old: dict, new: dict, name) -> None:
    keys = [k for k in new if k in old and old[k] != new[k]]
    changed = [f"{name(k)} was {_short(old[k])}, now {_short(new[k])}" for k in keys]
    if changed:
        raise ValueError(
            f"{folder} holds another run: {'; '.join(changed)}. Call with the old settings, or with another --run"
        )


def _short(value) -> str:
    text = " ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= 40 else text[:37] + "..."
