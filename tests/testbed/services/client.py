"""A service that needs another one: it connects to DB_HOST:DB_PORT again and again and says how that went.

Healthy while /tmp/healthy exists. EXIT_AFTER ends it after so many failures in a row; INTERVAL_S is the pause.
"""

import os
import socket
import sys
import time

HEALTHY = "/tmp/healthy"


def attempt(host: str, port: int) -> str | None:
    """Connect once and return None, or what a PostgreSQL client would say."""
    try:
        socket.create_connection((host, port), timeout=2).close()
    except socket.gaierror:
        return f'could not translate host name "{host}" to address: Temporary failure in name resolution'
    except ConnectionRefusedError:
        return f'connection to server at "{host}", port {port} failed: Connection refused'
    except OSError as error:
        return f'connection to server at "{host}", port {port} failed: {error}'
    return None


def main() -> None:
    """Try for ever, or until EXIT_AFTER failures in a row."""
    host, port = os.environ.get("DB_HOST", "db"), int(os.environ.get("DB_PORT", "8000"))
    exit_after, failures = int(os.environ.get("EXIT_AFTER", "0")), 0
    while True:
        problem = attempt(host, port)
        if problem is None:
            failures = 0
            open(HEALTHY, "w").close()
            print("OK", flush=True)
        else:
            failures += 1
            if os.path.exists(HEALTHY):
                os.remove(HEALTHY)
            print(f"psycopg2.OperationalError: {problem}", file=sys.stderr, flush=True)
            if exit_after and failures >= exit_after:
                sys.exit(1)
        time.sleep(float(os.environ.get("INTERVAL_S", "1")))


if __name__ == "__main__":
    main()
