"""The rules as they are, and the names of metrics in them."""

import re
from pathlib import Path
from typing import Any

import yaml

RULES = Path(__file__).parents[2] / "deploy" / "observability" / "rules.yml"
_OURS = re.compile(r"\b(?:clinicpay|http|db|messaging)_[a-z_]+\b(?!=)")
_LABELS = re.compile(r"\{[^}]*\}|by \([^)]*\)")


def alerts() -> dict[str, dict[str, Any]]:
    """Alerts by name."""
    return {rule["alert"]: rule for rule in _rules() if "alert" in rule}


def expressions() -> list[str]:
    return [rule["expr"] for rule in _rules()]


def _rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def metrics_in(expression: str) -> set[str]:
    """The names of our metrics in an expression of PromQL."""
    return set(_OURS.findall(_LABELS.sub("", expression)))
