"""The rules of the service. They see no HTTP and never commit: the request does."""
