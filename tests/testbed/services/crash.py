"""A service whose start fails because a variable is missing: a traceback and exit code 1."""

import os
import time

print("starting api 2.4.1", flush=True)
time.sleep(float(os.environ.get("CRASH_AFTER_S", "0")))
url = os.environ["DATABASE_URL"]
print(f"connected to {url.partition(':')[0]}", flush=True)
while True:
    time.sleep(3600)
