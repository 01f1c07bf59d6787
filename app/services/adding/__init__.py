"""Adding a version: checked in a process of its own, put into the store whole, registered with who did it."""
