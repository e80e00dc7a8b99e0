"""The folders of runs: which one a run gets, which one is meant, and the list of all of them."""

import html.parser
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from urllib.parse import unquote_to_bytes

import pytest

from minigan.training import Run, new_run_folder, run_folder, update_index
from test_examples import ROOT, folder, run  # noqa: F401, a fixture
from test_interruptions import checkpoints
from test_runs import Stop, train

FEW = ("--device", "cpu", "--epochs", 1, "--batch-size", 20)


# Which folder a run gets

def test_each_run_gets_a_folder_of_its_own(tmp_path):
    assert [new_run_folder(tmp_path / "runs" / "x").name for _ in range(3)] == ["1", "2", "3"]
    (tmp_path / "runs" / "x" / "11").write_text("a file has a name, too")
    (tmp_path / "runs" / "x" / "best").mkdir()
    assert new_run_folder(tmp_path / "runs" / "x") == tmp_path / "runs" / "x" / "12"


def test_runs_that_begin_at_the_same_moment_get_different_folders(tmp_path):
    barrier, found = threading.Barrier(8), []

    def begin():
        barrier.wait()
        found.append(new_run_folder(tmp_path))

    threads = [threading.Thread(target=begin) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(int(path.name) for path in found) == list(range(1, 9))


def test_a_file_in_the_place_of_all_runs_is_named(tmp_path):
    (tmp_path / "runs").write_text("kept")
    with pytest.raises(OSError, match="runs is not a folder"):
        new_run_folder(tmp_path / "runs" / "x")


def test_a_script_may_be_run_again(folder, tmp_path):  # noqa: F811
    for number in (1, 2):
        result = run("--data", folder, *FEW, cwd=tmp_path)
        assert result.returncode == 0, result.stderr
        assert result.stderr.startswith(f"this run's folder: runs/mnist_cnn/{number}\n")
        assert f"runs/mnist_cnn/{number}/report.html" in result.stdout.splitlines()
    # --resume takes the newest
    result = run("--resume", "--epochs", 2, cwd=tmp_path)
    assert "resuming runs/mnist_cnn/2 after step 3 of 6" in result.stderr, result.stderr
    # --out means exactly that folder, and refuses one with a run.
    result = run("--data", folder, *FEW, "--out", "runs/mnist_cnn/1", cwd=tmp_path)
    assert result.returncode == 2 and "runs/mnist_cnn/1: holds a run already" in result.stderr
    assert sorted(os.listdir(tmp_path / "runs" / "mnist_cnn")) == ["1", "2"]
    assert "test accuracy, %" in (tmp_path / "runs" / "index.html").read_text()
    # An older one by its name
    result = run("--resume", "--out", "runs/mnist_cnn/1", "--epochs", 2, cwd=tmp_path)
    assert "resuming runs/mnist_cnn/1 after step 3 of 6" in result.stderr, result.stderr


def test_arguments_that_are_refused_leave_no_folder(folder, tmp_path):  # noqa: F811
    assert run("--data", "nowhere", cwd=tmp_path).returncode == 2
    assert run("--data", folder, "--lr", 0, cwd=tmp_path).returncode == 2
    result = run("--resume", cwd=tmp_path)
    assert result.returncode == 2 and "runs/mnist_cnn: found no run" in result.stderr
    assert not (tmp_path / "runs").exists()


# Which run is meant

def test_the_newest_run(tmp_path):
    runs = tmp_path / "runs"
    with pytest.raises(FileNotFoundError, match="a and .*b: found no run"):
        run_folder(None, runs / "a", runs / "b")
    for name, begun in (("a/2", 300), ("a/10", 100), ("b", 200)):
        (runs / name).mkdir(parents=True)
        (runs / name / "settings.json").write_text("{}")
        os.utime(runs / name / "settings.json", (begun, begun))
    (runs / "a" / "11").mkdir()  # a run that never began
    assert run_folder(None, runs / "a") == run_folder(runs / "a") == runs / "a" / "10"
    assert run_folder(runs / "a" / "2") == runs / "a" / "2"
    assert run_folder(runs / "b") == runs / "b"
    assert run_folder(None, runs / "a", runs / "b", runs / "c") == runs / "b"
    assert run_folder(runs / "nowhere") == runs / "nowhere"


# The list of all runs

class Page(html.parser.HTMLParser):
    """The links, pictures and text of a page; AssertionError for elements that do not nest."""

    def __init__(self, path):
        super().__init__()
        self.links, self.images, self.texts, self.open, self.tags = [], [], [], [], set()
        self.feed(path.read_text(encoding="utf-8"))
        self.close()
        assert not self.open
        self.text = " ".join(" ".join(self.texts).split())

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags.add(tag)
        if tag == "a":
            self.links.append(attributes["href"])
        if tag == "img":
            self.images.append(attributes["src"])
            assert attributes["alt"]
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.texts.append(data)


def assert_offline(path):
    """The page shows only files that are there, and asks nobody else for anything."""
    page = Page(path)
    for address in page.links + page.images:
        assert os.path.exists(os.path.join(os.fsencode(path.parent), unquote_to_bytes(address)))
    assert not page.tags & {"script", "link", "iframe"}
    text = path.read_text(encoding="utf-8")
    assert 'name="viewport"' in text and "prefers-color-scheme: dark" in text
    assert "://" not in text and "url(" not in text and "@import" not in text
    return page


def test_all_runs_are_listed(tmp_path):
    runs = tmp_path / "runs"
    for name in ("a/1", "a/2", "b", "c d/ä#%?"):
        train(runs / name, epochs=2, command="python x.py")
    with pytest.raises(Stop):
        train(runs / "a" / "3", stop_after=4)
    page = assert_offline(runs / "index.html")
    for name in ("a 1 finished: 14 steps", "b finished: ", "ä#%? finished: ",
                 "a 3 stopped: 4 of 21 steps"):
        assert name in page.text
    assert page.text.index("a 3") < page.text.index("a 2") < page.text.index("a 1")
    assert len(page.images) == 5 and len([x for x in page.links if x.endswith("report.html")]) == 5
    assert "lr 0.01" in page.text and "mean" in page.text and "loss" in page.text
    assert "http-equiv" not in (runs / "index.html").read_text()
    report = assert_offline(runs / "a" / "1" / "report.html")
    assert "../../index.html" in report.links


def test_a_run_is_listed_while_it_runs(folder, tmp_path):  # noqa: F811
    """And once it was killed, the next run says so."""
    command = [sys.executable, ROOT / "examples" / "mnist_cnn.py", "--data", folder, "--epochs",
               100000, "--device", "cpu", "--checkpoint-every", 1]
    process = subprocess.Popen(list(map(str, command)), cwd=tmp_path, stderr=subprocess.PIPE,
                               stdout=subprocess.DEVNULL, text=True,
                               env={**os.environ, "PYTHONPATH": str(ROOT)})
    try:
        checkpoints(process, tmp_path / "runs" / "mnist_cnn" / "1" / "checkpoint.h5", 3)
        index = tmp_path / "runs" / "index.html"
        update_index(tmp_path / "runs" / "mnist_cnn" / "1")
        assert "mnist_cnn 1 running: " in assert_offline(index).text
        assert 'http-equiv="refresh"' in index.read_text()
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    train(tmp_path / "runs" / "other", epochs=1)
    assert "mnist_cnn 1 interrupted: " in Page(index).text
    assert "http-equiv" not in index.read_text()


def test_looking_at_a_lock_does_not_hinder_a_run(tmp_path):
    """The list of runs is made again and again while others begin and end."""
    runs, stop = tmp_path / "runs", threading.Event()
    with Run(runs / "a"):
        pass
    (runs / "a" / "state.json").write_text('{"state": "running"}')
    (runs / "a" / "settings.json").write_text("{}")

    def look():
        while not stop.is_set():
            update_index(runs / "a")

    thread = threading.Thread(target=look)
    thread.start()
    try:
        for _ in range(100):
            with Run(runs / "a"):
                pass
    finally:
        stop.set()
        thread.join()


NOT_RUNS = {
    "empty": {}, "no JSON": {"settings.json": b"{"}, "bytes": {"settings.json": b"\xff\xfe\0"},
    "a list": {"settings.json": b"[1]", "state.json": b"[]"},
    "deep": {"settings.json": b"[" * 100_000}, "large": {"settings.json": b" " * 5_000_000},
    "other types": {"settings.json": b'{"settings": [1, 2], "script": {}}', "state.json":
                    b'{"state": {"a": 1}, "step": "x", "seconds": [], "losses": 5, "metrics": [7],'
                    b' "warnings": {"a": 1}}', "evaluation.json": b'{"figures": {"a": [], "b": 5}}'},
    "numbers": {"settings.json": b'{"settings": {"a": {"b": null}, "c": NaN}}', "state.json":
                b'{"state": true, "step": -1e999, "last_step": 7, "seconds": NaN, "losses": '
                b'{"a": NaN, "b": "x", "c": 1' + b"0" * 400 + b'}, "warnings": [1, null]}'},
    "<script>alert(1)": {
        "settings.json": b'{"settings": {"<script>": "<script>", "\\ud800": "\\ud800"}}',
        "state.json": b'{"state": "<script>", "warnings": ["<script>"]}'},
}


def test_what_is_no_run_does_not_break_the_list(tmp_path):
    runs = tmp_path / "runs"
    for name, files in NOT_RUNS.items():
        (runs / name).mkdir(parents=True)
        for file, content in files.items():
            (runs / name / file).write_bytes(content)
    (runs / "a file").write_text("settings.json")
    (runs / "a link").symlink_to("nowhere")
    (runs / "a loop").symlink_to("a loop")
    for part in ("settings.json", "state.json", "losses.png"):
        (runs / "folders" / part).mkdir(parents=True)
    (runs / "pipe").mkdir()
    os.mkfifo(runs / "pipe" / "settings.json")
    (runs / "pipe 2").mkdir()
    (runs / "pipe 2" / "settings.json").write_text("{}")
    os.mkfifo(runs / "pipe 2" / "state.json")
    latin = os.fsdecode(os.fsencode(runs) + b"/caf\xe9")
    train(latin, epochs=1)
    train(runs / "x" / "1", epochs=1)
    text = (runs / "index.html").read_text(encoding="utf-8")
    page = assert_offline(runs / "index.html")
    assert "x 1 finished: 7 steps" in page.text and "caf" in page.text
    assert "no JSON its state is not known" in page.text and "<script>" not in text
    assert "empty" not in page.text and "folders" not in page.text


def test_a_foreign_index_is_left_alone(tmp_path):
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "index.html").write_text("my page")
    train(tmp_path / "runs" / "x", epochs=1)
    assert (tmp_path / "runs" / "index.html").read_text() == "my page"


def test_runs_elsewhere_are_not_listed(tmp_path):
    train(tmp_path / "mine" / "1", epochs=1)
    assert not list(tmp_path.rglob("index.html"))
    assert "index.html" not in (tmp_path / "mine" / "1" / "report.html").read_text()


def test_a_list_that_another_run_would_replace_by_an_older_one(tmp_path, monkeypatch):
    """A run that ends while another writes the list is not lost from it."""
    from minigan.training import index
    runs, write = tmp_path / "runs", index.write_atomically
    train(runs / "a", epochs=1)

    def slowly(path, content):
        monkeypatch.undo()
        time.sleep(0.01)  # so that the time of a file differs
        train(runs / "b", epochs=1)
        write(path, content)

    monkeypatch.setattr(index, "write_atomically", slowly)
    update_index(runs / "a")
    assert "b finished" in Page(runs / "index.html").text


def test_the_state_is_a_file_for_programs(tmp_path):
    train(tmp_path, epochs=2)
    state = json.loads((tmp_path / "state.json").read_text())
    assert state["state"] == "finished" and state["step"] == state["last_step"] == 14
    assert re.fullmatch(r"\d+\.\d+(e-?\d+)?", str(state["seconds"]))
    assert state["losses"].keys() == {"loss"} and state["metrics"]["epoch"] == 2
