"""A job that does its work and ends: exit code EXIT_CODE (0) after WORK_S seconds."""

import os
import sys
import time

print("job started", flush=True)
time.sleep(float(os.environ.get("WORK_S", "0.1")))
print("job done", flush=True)
sys.exit(int(os.environ.get("EXIT_CODE", "0")))
