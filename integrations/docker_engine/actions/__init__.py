"""The actions `docker.…`."""
