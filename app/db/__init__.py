"""Tables, sessions and every query."""
