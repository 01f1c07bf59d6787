"""HTTP and pages: parse, call one service, render."""
