"""Promise: nothing is fetched from a network unless the user asks for a data set."""

import socket

import kills
import pytest

from evo import search
from results import report, train


def test_the_main_job_and_the_report_need_no_network(script, tmp_path, monkeypatch):
    def forbidden(*_, **__):
        raise AssertionError("somebody opened a socket")

    for name in ("socket", "create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, name, forbidden)
    with pytest.raises(AssertionError):
        socket.create_connection(("localhost", 1))
    for module, (_, *flags) in zip((search, train, report), kills.chain(tmp_path / "run")[1:], strict=True):
        outcome = script(module, *flags)
        assert outcome.code == 0, outcome.err
