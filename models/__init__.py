"""What training and serving share: the bundle, and everything that must be the same on both sides."""
