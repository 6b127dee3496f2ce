"""Ray: the processes of one machine or of many, for work that can be done in any order.

A cluster runs whatever code reaches it. One that is started here listens on this machine alone and takes nothing
without a token that nobody else is told; it opens no dashboard and reports to nobody.
"""

import hashlib
import importlib.util
import logging
import os
import platform
import secrets
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

AUTO = "auto"
MEND = 'pip install -e ".[cluster]"'
SECONDS = 3.0  # within which an address answers
GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))  # RFC 9113, section 3.4
ROOT, ROOMS = Path(__file__).parents[1], ("search_spaces", "supernet", "evo", "results")
PACKAGES = ("torch", "numpy", "ray")
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
QUIET |= {"RAY_DISABLE_FAILURE_SIGNAL_HANDLER": "1"}  # Ray's answer to SIGTERM is a stack, and SIGABRT after 3 s
HASTY = {"RAY_NUM_REDIS_GET_RETRIES": "3"}  # seconds to join a cluster that answers
# The first makes Ray's nodes take 127.0.0.1 as their address; it is Ray's own default away from Linux.
PRIVATE = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_AUTH_MODE": "token"}


def check(address: str) -> None:
    """ValueError, within moments, if Ray is not installed, or if `address` is not auto or no HOST:PORT that answers."""
    if importlib.util.find_spec("ray") is None:
        raise ValueError(f"--ray needs Ray: {MEND}")
    if address == AUTO:
        return
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isdigit():
        raise ValueError(f"--ray is auto or HOST:PORT, got {address!r}")
    if not answers(address):
        raise ValueError(
            f"no Ray answers at --ray {address} within {SECONDS:.0f} s: is it the address that ray start --head said?"
        )


def answers(address: str) -> bool:
    """Whether somebody at HOST:PORT speaks HTTP/2, as Ray does; of anything else Ray would not let go for minutes."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=SECONDS) as line:
            line.sendall(GREETING)
            return line.recv(9)[3:4] == b"\4" or "RAY_USE_TLS" in os.environ
    except (OSError, ValueError, OverflowError):
        return False


def running() -> str | None:
    """The address of the Ray that was started on this machine, or that this process was started by."""
    if "RAY_ADDRESS" in os.environ:
        return os.environ["RAY_ADDRESS"]
    home = os.environ.get("RAY_TMPDIR") or os.environ.get("TMPDIR") or "/tmp"  # where `ray start` leaves it
    left = Path(home) / "ray" / "ray_current_cluster"
    address = left.read_text().strip() if left.exists() else ""
    return address if address and answers(address) else None


def connect(address: str) -> ModuleType:
    """Ray, connected to the cluster at `address`; auto: to the one that runs here, or else to one of its own.

    ValueError says in one line why it cannot.
    """
    check(address)
    found = running() if address == AUTO else address
    for name, value in (QUIET | (HASTY if found else PRIVATE)).items():
        os.environ.setdefault(name, value)  # before Ray is imported, which reads them once
    if not found:
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    import ray

    if not ray.is_initialized():
        quiet = {"include_dashboard": False, "log_to_driver": False, "logging_level": logging.CRITICAL}
        try:
            _in_a_thread_that_stays(partial(ray.init, found or "local", **quiet))
        except (ConnectionError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
            raise ValueError(
                f"Ray at {found or 'this machine'} cannot be joined ({error}): is this machine a node of it "
                "(ray start --address), and RAY_AUTH_TOKEN its token?"
            ) from error
    return ray


def _in_a_thread_that_stays(work: Callable[[], object]) -> None:
    """Linux ends the processes that Ray starts together with the thread that started them."""
    done: Future = Future()

    def run() -> None:
        try:
            done.set_result(work())
        except BaseException as error:  # the caller's
            done.set_exception(error)
        threading.Event().wait()

    threading.Thread(target=run, daemon=True).start()
    done.result()


def share(ray: ModuleType, device: str, cores: int = 1) -> tuple[str, dict[str, int]]:
    """What a worker computes on, and what it takes of the cluster: a GPU if there are any and `device` is not cpu."""
    if device != "cpu" and ray.cluster_resources().get("GPU"):
        return "cuda", {"num_gpus": 1, "num_cpus": 0}
    return "cpu", {"num_cpus": cores}


def versions() -> dict[str, str]:
    """Of what must be the same everywhere for the same results: Python, packages, our own code."""
    digest = hashlib.blake2b(digest_size=6)
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            digest.update(str(path.relative_to(ROOT)).encode() + path.read_bytes())
    found = {"python": platform.python_version(), **{package: version(package) for package in PACKAGES}}
    return found | {"the code of FairFront": digest.hexdigest()}


def same(wanted: dict[str, str]) -> None:
    """ValueError names what this process has otherwise than `wanted`, which the caller has, and both versions."""
    own = versions()
    others = [f"{name} {own[name]} instead of {wanted[name]}" for name in wanted if own[name] != wanted[name]]
    if others:
        raise ValueError(f"the Ray worker on {socket.gethostname()} has {', '.join(others)}: install the same there")
