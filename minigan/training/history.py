"""The losses of a run: in memory, in losses.csv while it runs, and in its checkpoints."""

import math

import numpy

from minigan.files import write_atomically


class History:
    """The losses of logged steps, and losses.csv, which has a row for each of them.

    steps   the numbers of these steps, counted from 1
    losses  {name: [float for each of these steps]}

    A loss on a GPU stays there until `read`, which reads all of them at once.
    """

    def __init__(self, path):
        self.path = path
        self.steps, self.losses = [], {}
        self._unread = []    # (step, {name: array})
        self._written = 0    # rows in the file

    def add(self, step, losses):
        """losses: {name: a number or one-element array}, which the caller must not overwrite.
        ValueError unless they have the names that those of earlier steps have."""
        before = self._unread[0][1] if self._unread else self.losses if self.steps else losses
        if losses.keys() != before.keys():
            raise ValueError(f"log: the losses of every step must have the same names; they were "
                             f"{[*before]}, now {[*losses]}")
        self._unread.append((step, losses))

    def read(self):
        """Read what was added. Returns (step, name, value) of the first loss that is not finite, or
        None."""
        wrong = None
        for step, losses in self._unread:
            self.steps.append(step)
            for name, loss in losses.items():
                value = float(loss)
                self.losses.setdefault(name, []).append(value)
                if wrong is None and not math.isfinite(value):
                    wrong = step, name, value
        self._unread.clear()
        return wrong

    def write(self):
        """Append to the file what has been read. OSError if it cannot be written; the next call
        then writes the whole file."""
        if self._written == len(self.steps):
            return
        first = self._written if self.path.exists() else 0
        self._written = 0
        if first:
            with open(self.path, "a", encoding="utf-8", newline="") as file:
                file.write(self._rows(first))
        else:
            write_atomically(self.path, self._rows(0).encode())
        self._written = len(self.steps)

    def arrays(self):
        """The losses for a checkpoint: {name: array (logged steps,)}."""
        return {"steps": numpy.array(self.steps, "int64"),
                **{f"losses/{name}": numpy.array(values) for name, values in self.losses.items()}}

    def restore(self, arrays, processes=1, now=1):
        """Restore what `arrays` gave. The next `write` writes the whole file.

        Steps of so many `processes` get the numbers that those of as many as there are `now` have
        at the same items.
        """
        self.steps = ((arrays["steps"] - 1) * processes // now + 1).tolist()
        self.losses = {name.removeprefix("losses/"): values.tolist()
                       for name, values in arrays.items() if name.startswith("losses/")}
        self._unread.clear()
        self._written = 0

    def _rows(self, first):
        """Rows as text, from number `first` on; row 0 follows a line of names. Nine digits identify
        any float32."""
        lines = [] if first else [",".join(["step", *self.losses])]
        columns = list(self.losses.values())
        lines += [",".join([str(self.steps[row]), *(f"{column[row]:.9g}" for column in columns)])
                  for row in range(first, len(self.steps))]
        return "".join(line + "\n" for line in lines)
