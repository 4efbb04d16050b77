"""A service that ignores SIGTERM, so that a stop ends in SIGKILL and 137 without any lack of memory."""

import signal
import time

signal.signal(signal.SIGTERM, lambda *_: print("SIGTERM ignored", flush=True))
print("ready", flush=True)
while True:
    time.sleep(3600)
