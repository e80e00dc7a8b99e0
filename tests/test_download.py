"""The download of MNIST, against a server on this machine."""

import gzip
import hashlib
import http.server
import threading

import pytest

from minigan import data

CONTENT = bytes(range(256)) * 40
FILES = {name: hashlib.sha256(CONTENT).hexdigest() for name in ("one.gz", "two.gz")}


class Mirrors(http.server.BaseHTTPRequestHandler):
    """Answers as the first part of the address says."""

    def do_GET(self):
        self.server.asked.append(self.path)
        kind = self.path.split("/")[1]
        body = {"good": gzip.compress(CONTENT, mtime=0), "plain": CONTENT,
                "half": gzip.compress(CONTENT, mtime=0),
                "other": gzip.compress(CONTENT[1:], mtime=0), "page": b"<html>sign in first</html>",
                "torn": gzip.compress(CONTENT, mtime=0)[:-20], "missing": b""}[kind]
        self.send_response(404 if kind == "missing" else 200)
        self.send_header("Content-Length", str(len(body) * (2 if kind == "half" else 1)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Mirrors) as server:
        server.asked = []
        server.address = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("kind", ["good", "plain"])
def test_download_fetches_once(tmp_path, server, kind, capsys):
    data.download_mnist(tmp_path / "new", [f"{server.address}/{kind}/"], FILES)
    assert server.asked == [f"/{kind}/one.gz", f"/{kind}/two.gz"]
    assert "/one.gz, " in capsys.readouterr().err
    content = (tmp_path / "new" / "two.gz").read_bytes()
    assert content == (CONTENT if kind == "plain" else gzip.compress(CONTENT, mtime=0))
    data.download_mnist(tmp_path / "new", [f"{server.address}/{kind}/"], FILES)
    assert len(server.asked) == 2
    # A damaged file is missing.
    (tmp_path / "new" / "two.gz").write_bytes(content[:-50])
    data.download_mnist(tmp_path / "new", [f"{server.address}/{kind}/"], FILES)
    assert server.asked[2:] == [f"/{kind}/two.gz"]
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["one.gz", "two.gz"]


@pytest.mark.parametrize("kind, reason", [
    ("other", "expected content of SHA-256 .*, found "),
    ("page", "expected content of SHA-256 .*, found "),
    ("missing", "404"),
    ("half", "bytes read, .* more expected"),
    ("torn", "truncated or damaged"),
])
def test_download_goes_to_the_next_mirror(tmp_path, server, kind, reason):
    bad, good = (f"{server.address}/{name}/" for name in (kind, "good"))
    data.download_mnist(tmp_path / "a", [bad, good], FILES)
    assert server.asked == [f"/{kind}/one.gz", "/good/one.gz", "/good/two.gz"]
    with pytest.raises(ConnectionError, match=f"{bad}: .*{reason}"):
        data.download_mnist(tmp_path / "b", [bad], FILES)
    assert not list((tmp_path / "b").iterdir())


def test_download_lists_every_mirror_and_the_ways_out(tmp_path, server):
    with http.server.HTTPServer(("127.0.0.1", 0), Mirrors) as closed:
        nobody = f"http://127.0.0.1:{closed.server_port}/"
    with pytest.raises(ConnectionError) as caught:
        data.download_mnist(tmp_path, [nobody, f"{server.address}/missing/"], FILES, timeout=5)
    message = str(caught.value)
    assert "one.gz" in message and str(tmp_path) in message
    assert nobody in message and "refused" in message and "/missing/: HTTP Error 404" in message
    assert "--data digits" in message and "folder" in message
