"""The service: names moths over HTTP and in the browser."""
