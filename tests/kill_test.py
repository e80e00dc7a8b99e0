"""Training runs that are killed at random moments and resumed end as if nothing had happened.

    python tests/kill_test.py                      50 kills, in turn among the three examples
    python tests/kill_test.py --kills 20 --script dcgan --seed 1

Each script is run once undisturbed. Then it is run, killed with SIGKILL, resumed, killed, and so
on; when it has finished, the folders of both are compared: weights, the optimisers' moments,
losses and pictures, bit by bit. A finished run is started anew until there were enough kills.
The exit status is 1 if anything differs.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import h5py
import numpy

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from minigan import data  # noqa: E402
from minigan.serialization import read_sealed  # noqa: E402
from minigan.training import ArgumentParser, Progress, positive_int, run  # noqa: E402

SCRIPTS = {
    "mnist_cnn": ["--data", "few-digits", "--epochs", 4, "--batch-size", 8],
    "cgan": ["--data", "few-digits", "--epochs", 3, "--batch-size", 8],
    "dcgan": ["--data", "pictures.h5", "--channels", 2, "--batch-size", 3, "--epochs", 4,
              "--show-every", 10],
}


def make_data(folder):
    """A folder of digits and a file of pictures, small and made here."""
    (folder / "few-digits").mkdir(parents=True)
    for part, count, seed in (("train", 600, 0), ("t10k", 100, 1)):
        images, labels = data.draw_digits(count, seed)
        data.write_idx(folder / "few-digits" / f"{part}-images-idx3-ubyte", images)
        data.write_idx(folder / "few-digits" / f"{part}-labels-idx1-ubyte", labels)
    pixels = numpy.random.default_rng(0)
    with h5py.File(folder / "pictures.h5", "w") as file:
        for number in range(40):
            file[f"noise/{number}.png"] = pixels.integers(0, 256, (130, 132, 3)).astype("uint8")


class Runner:
    """Starts a script in a folder with the data."""

    def __init__(self, script, folder):
        self.script, self.folder = script, folder

    def start(self, out, *options):
        command = [sys.executable, ROOT / "examples" / f"{self.script}.py", "--out", out, *options]
        # One thread: the networks are tiny, and on a busy machine threads wait for each other.
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1",
                       "MINIGAN_CACHE": str(self.folder / "cache")}
        return subprocess.Popen([str(part) for part in command], cwd=self.folder, env=environment,
                                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def begin(self, out):
        """Start a run, or resume it if there is one."""
        if (self.folder / out / "checkpoint.h5").exists():
            return self.start(out, "--resume")
        return self.start(out, *SCRIPTS[self.script], "--device", "cpu",
                          "--checkpoint-every", "7,0.3s")


def ended(process):
    """Wait for a process; RuntimeError if it failed."""
    _, stderr = process.communicate()
    if process.returncode:
        raise RuntimeError(f"{process.args}: exit status {process.returncode}\n{stderr}")


def killed(process, seconds):
    """Whether the process was still running after these seconds, and was killed."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.communicate()
        return True
    ended(process)
    return False


def differences(one, other):
    """What differs between two runs' folders, as lines."""
    def names(folder):
        return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}

    # The one before the last depends on when checkpoints were due.
    found = [f"only in one of them: {name}" for name in sorted(names(one) ^ names(other))
             if name != "checkpoint.previous.h5"]
    for name in sorted(names(one) & names(other)):
        if name.endswith((".png", ".gif", ".csv", ".npz")):
            if (one / name).read_bytes() != (other / name).read_bytes():
                found.append(f"{name} differs")
    if json.loads((one / "settings.json").read_text())["settings"] != json.loads(
            (other / "settings.json").read_text())["settings"]:
        found.append("settings.json differs")
    (facts, ours), (other_facts, theirs) = (read_sealed(folder / "checkpoint.h5")
                                            for folder in (one, other))
    for key in facts.keys() | other_facts.keys():
        if key != "seconds" and facts.get(key) != other_facts.get(key):
            found.append(f"checkpoint.h5: {key} differs")
    if ours.keys() != theirs.keys():
        found.append(f"checkpoint.h5: other arrays: {sorted(ours.keys() ^ theirs.keys())}")
    for key in ours.keys() & theirs.keys():
        if ours[key].tobytes() != theirs[key].tobytes():
            found.append(f"checkpoint.h5: {key} differs")
    return found


def kill_and_compare(script, kills, folder, chance, progress=None):
    """Kill a script `kills` times: (what differs in the end, as lines, the number of runs)."""
    runner = Runner(script, folder)
    start = time.monotonic()
    ended(runner.begin(f"{script} undisturbed"))
    span = time.monotonic() - start
    found, runs, done = [], 0, 0
    while done < kills:
        runs += 1
        out = f"{script} killed {runs}"
        while True:
            if done == kills:
                ended(runner.begin(out))
            elif killed(runner.begin(out), chance.uniform(0.1, 0.7) * span):
                done += 1
                if progress:
                    progress.advance()
                continue
            break
        found += [f"{out}: {line}" for line in
                  differences(folder / f"{script} undisturbed", folder / out)]
        shutil.rmtree(folder / out)
    return found, runs


def main():
    parser = ArgumentParser(__doc__)
    parser.add_argument("--kills", type=positive_int, default=50, help="number of kills in all")
    parser.add_argument("--script", choices=SCRIPTS, nargs="+", default=list(SCRIPTS))
    parser.add_argument("--seed", type=int, default=0, help="of the moments of the kills")
    args = parser.parse_args()
    chance = random.Random(args.seed)
    all_found = []
    with tempfile.TemporaryDirectory() as name, Progress(
            args.kills, "killing", unit="kills") as progress:
        folder = Path(name)
        make_data(folder)
        for number, script in enumerate(args.script):
            kills = args.kills // len(args.script) + (number < args.kills % len(args.script))
            if kills:
                found, runs = kill_and_compare(script, kills, folder, chance, progress)
                all_found += found
                print(f"{script}: {kills} kills in {runs} runs, {len(found)} differences")
    print("\n".join(all_found) or "every run ended bit-identical to the undisturbed one")
    sys.exit(1 if all_found else 0)


if __name__ == "__main__":
    run(main)
