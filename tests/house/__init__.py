"""Whether the documentation, the packaging and the tools say what the code does."""
