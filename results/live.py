"""Shows a running search on this machine: its page is written after every generation and loads itself again."""

import threading
from collections.abc import Callable
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from results.reading import Run

LOOK = 1.0  # seconds between two looks at the run folder
WATCHED = ("archive.sqlite", "front.json", "supernet.safetensors", "settings.json")
HOST = "127.0.0.1"


def state(folder: Path) -> list[tuple[str, int]]:
    """Changes whenever the run does: its files and when they were written."""
    return [(name, (folder / name).stat().st_mtime_ns) for name in WATCHED if (folder / name).exists()]


def keep(folder: Path, write_page: Callable[..., Run], stop: threading.Event) -> None:
    """Writes the page now, and after every change until `stop`."""
    known = None
    while not stop.is_set():
        if (now := state(folder)) != known:
            known = now
            write_page(folder, live=True)
        stop.wait(LOOK)


class Handler(BaseHTTPRequestHandler):
    """Gives the one page, to a browser that came for this machine (a foreign name for it is refused)."""

    def __init__(self, path: Path, *args):
        self.path_of_page = path
        super().__init__(*args)

    def do_GET(self) -> None:
        host = self.headers.get("Host", "").partition(":")[0]
        if host not in (HOST, "localhost") or self.path.partition("?")[0] != "/":
            self.send_error(404)
            return
        content = self.path_of_page.read_bytes()
        self.send_response(200)
        for name, value in (("Content-Type", "text/html; charset=utf-8"), ("Cache-Control", "no-store")):
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_) -> None:
        """Nothing: the terminal is for the search."""


def server(folder: Path, port: int) -> ThreadingHTTPServer:
    """Of the page alone, for this machine alone; ValueError if the port cannot be had."""
    try:
        return ThreadingHTTPServer((HOST, port), partial(Handler, folder / "report.html"))
    except OSError as error:
        raise ValueError(f"port {port} cannot be used ({error.strerror}); take another --port, or 0 for any") from error


def serve(folder: Path, port: int, write_page: Callable[..., Run]) -> None:
    """Until Ctrl-C; the last page written does not load itself again."""
    stop = threading.Event()
    write_page(folder, live=True)
    with server(folder, port) as served:
        threading.Thread(target=served.serve_forever, daemon=True).start()
        print(f"http://localhost:{served.server_port} follows {folder}; Ctrl-C ends it", flush=True)
        try:
            keep(folder, write_page, stop)
        finally:
            served.shutdown()
            write_page(folder)
