"""The command line: serve, and what an admin does without a browser. Exit code 2: usage; 1: failure."""

from app.cli.program import app, main

__all__ = ["app", "main"]
