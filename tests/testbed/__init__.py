"""Real parts for the tests: a Docker engine, PostgreSQL, Chromium and Docker Compose, set up once and reused.

`python -m tests.testbed up` prepares everything; the fixtures of `tests/conftest.py` do the same on first use.
"""
