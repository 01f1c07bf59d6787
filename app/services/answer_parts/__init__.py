"""The parts of an answer, one module for what changes together. Field names are Darwin Core's."""
