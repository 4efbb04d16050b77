"""A stand-in for Dokploy v0.30.2."""

from tests.standins.dokploy.arrangement import Project, Service
from tests.standins.dokploy.faults import Asked
from tests.standins.dokploy.standin import DokployStandin

__all__ = ["Asked", "DokployStandin", "Project", "Service"]
