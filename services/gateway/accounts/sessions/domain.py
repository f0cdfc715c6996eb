"""A device in plain words, from what its browser says about itself. Pure.

Coarse on purpose: a person tells their phone from their computer by it, and nobody else is told more.
"""

_BROWSERS = (
    ("edg", "Edge"),
    ("opr/", "Opera"),
    ("samsungbrowser", "Samsung Internet"),
    ("firefox", "Firefox"),
    ("fxios", "Firefox"),
    ("chrome", "Chrome"),
    ("crios", "Chrome"),
    ("safari", "Safari"),
)
"""In this order: browsers name those as well whose pages they want."""
_SYSTEMS = (
    ("iphone", "an iPhone"),
    ("ipad", "an iPad"),
    ("android", "Android"),
    ("windows", "Windows"),
    ("mac os", "a Mac"),
    ("cros", "a Chromebook"),
    ("linux", "Linux"),
)


def device_of(user_agent: str) -> str:
    """Such as `Firefox on Windows`; empty for a browser that says nothing known."""
    said = user_agent.lower()
    browser = next((name for mark, name in _BROWSERS if mark in said), "")
    system = next((name for mark, name in _SYSTEMS if mark in said), "")
    if browser and system:
        return f"{browser} on {system}"
    return browser or system.removeprefix("a ").removeprefix("an ")
