"""A time between two moments, as commands and the console write it."""


def apart(seconds: float) -> str:
    """In its largest unit alone, such as `2 h`."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.1f} s" if 0 < seconds < 10 else f"{seconds:.0f} s"
