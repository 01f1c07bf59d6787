"""Makes classifiers: photographs in, a bundle out. Never imports the service."""
