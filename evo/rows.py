"""Arrays that grow at their end, at a constant price per row."""

import numpy as np


class Rows:
    """Rows appended so far, in a buffer that doubles when it is full."""

    def __init__(self):
        self.buffer, self.length = np.empty(0), 0

    def append(self, rows: np.ndarray) -> np.ndarray:
        """(n, ...) -> all rows so far, (T, ...), a view. What was returned before keeps its values."""
        end = self.length + len(rows)
        if end > len(self.buffer) or not self.length:
            grown = np.empty((2 * end, *rows.shape[1:]), dtype=rows.dtype)
            if self.length:
                grown[: self.length] = self.buffer[: self.length]
            self.buffer = grown
        self.buffer[self.length : end] = rows
        self.length = end
        return self.buffer[:end]
