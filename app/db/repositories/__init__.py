"""Every SELECT, INSERT and UPDATE of the service, one module a subject. Nothing here commits."""
