class EmbeddedError(Exception):
    """The machine cannot run a part. The message is one line that a person can act on."""
