"""A small HTTP service that can be made sick, hungry, busy or dead over HTTP.

GET / · /health · /eat?mb=N · /eat_child?mb=N · /burn?seconds=N · /crash; POST /sick · /well · /hang
"""

import os
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

SICK = "/tmp/sick"
MB = 1024 * 1024
eaten: list[bytearray] = []
hang = threading.Event()


def eat(mb: int) -> None:
    """Allocate and touch that much memory, step by step, and keep it."""
    for _ in range(mb):
        eaten.append(bytearray(b"\x01" * MB))


def eat_in_child(mb: int) -> str:
    """Let a forked child allocate; the kernel prefers to kill it, and this process stays."""
    pid = os.fork()
    if pid == 0:
        with open("/proc/self/oom_score_adj", "w") as score:
            score.write("1000")
        eat(mb)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        text = f"Worker (pid:{pid}) was sent SIGKILL! Perhaps out of memory?"
        print(text, file=sys.stderr, flush=True)
        return text
    return "the child survived"


def burn(seconds: float) -> None:
    """Spend processor time in the background."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        sum(range(1000))


class Service(BaseHTTPRequestHandler):
    """Answers each request; logs one line for all but health checks."""

    def do_GET(self) -> None:
        """Answer the readable pages and the faults that need a number."""
        url = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        if hang.is_set():
            time.sleep(3600)
        if url.path == "/health":
            sick = os.path.exists(SICK)
            self.reply(500 if sick else 200, "sick" if sick else "ok")
        elif url.path == "/eat":
            print(f"bulk insert of {query['mb']} MB started", flush=True)
            eat(int(query["mb"]))
            self.reply(200, "eaten")
        elif url.path == "/eat_child":
            self.reply(200, eat_in_child(int(query["mb"])))
        elif url.path == "/burn":
            threading.Thread(target=burn, args=(float(query.get("seconds", "60")),), daemon=True).start()
            self.reply(200, "burning")
        elif url.path == "/crash":
            print("fatal: asked to crash", file=sys.stderr, flush=True)
            os._exit(1)
        else:
            self.reply(200 if url.path == "/" else 404, "ok" if url.path == "/" else "no such page")

    def do_POST(self) -> None:
        """Switch the health, or stop answering for good."""
        if self.path == "/sick":
            open(SICK, "w").close()
        elif self.path == "/well" and os.path.exists(SICK):
            os.remove(SICK)
        elif self.path == "/hang":
            hang.set()
        self.reply(200, "done")

    def reply(self, status: int, text: str) -> None:
        """Send a plain text answer."""
        body = (text + "\n").encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Write the access log to standard output, without the health checks."""
        if not self.path.startswith("/health"):
            print(
                f'{self.address_string()} "{self.command} {self.path}" {args[1] if len(args) > 1 else ""}', flush=True
            )


def main() -> None:
    """Serve until SIGTERM."""
    if os.environ.get("SICK"):
        open(SICK, "w").close()
    server = ThreadingHTTPServer(("0.0.0.0", int(os.environ.get("PORT", "8000"))), Service)
    server.daemon_threads = True
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    print(f"listening on {server.server_port}", flush=True)
    server.serve_forever(poll_interval=0.05)
    print("stopped", flush=True)


if __name__ == "__main__":
    main()
