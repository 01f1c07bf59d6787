"""What must hold of a method if it is the method of its name: identities and limits, each checked on small numbers."""
