"""The first import of every script: Ctrl-C while PyTorch loads, which takes seconds, ends in one line."""

import sys


def quiet(kind: type[BaseException], error: BaseException, trace, rest=sys.excepthook) -> None:
    if issubclass(kind, KeyboardInterrupt):
        print("\nstopped before anything was begun", file=sys.stderr)
    else:
        rest(kind, error, trace)


sys.excepthook = quiet
