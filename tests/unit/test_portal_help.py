"""The help centre: what people type leads to the article that answers it, and every link in it leads somewhere."""

import re
from typing import Any

import pytest

from services.gateway.portal.help import articles
from services.gateway.portal.help.search import search
from tests.builders.portal import a_clinic

ALL = frozenset({"billing", "online"})


@pytest.mark.parametrize(
    ("query", "slug"),
    [
        ("receipt", "receipts"),
        ("Receipts for my insurance", "receipts"),
        ("card declined", "declined"),
        ("insufficient funds", "declined"),
        ("forgot password", "logging-in"),
        ("pasword", "logging-in"),
        ("refund", "refunds"),
        ("save card", "saved-cards"),
        ("remove my old card", "saved-cards"),
        ("is it safe", "security"),
        ("pay button missing", "missing"),
        ("what does overdue mean", "statuses"),
        ("employee name", "reading-an-invoice"),
        ("pay for my child", "several-clinics"),
        ("how do I pay with paypal", "paying"),
        ("manual", "master-guide"),
        ("vat", "reading-an-invoice"),
        ("gst", "reading-an-invoice"),
        ("cvv", "declined"),
        ("cvc", "declined"),
        ("3ds", "declined"),
        ("3-D Secure", "declined"),
        ("3d secure", "declined"),
        ("pay by bank transfer", "paying"),
        ("iban", "paying"),
        ("apple pay", "paying"),
        ("recipt", "receipts"),
        ("insurence", "receipts"),
        ("e-mail", "logging-in"),
    ],
)
def test_a_question_finds_its_article_first(query: str, slug: str) -> None:
    assert search(query, ALL)[0].article.slug == slug


@pytest.mark.parametrize("query", ["", "the of and", "zzzzqqqq", "<script>", "%", "(((", "🦷"])
def test_what_nobody_wrote_about_finds_nothing(query: str) -> None:
    assert search(query, ALL) == []


def test_a_found_article_shows_where_it_fits() -> None:
    snippet = search("insurance", ALL)[0].snippet

    assert any("insurance" in piece.lower() for piece, fits in snippet if fits)


@pytest.mark.parametrize(
    "query", ["pay", "pay by bank transfer", "card", "invoice", "how do I pay my invoice by card"]
)
def test_the_best_three_are_shown(query: str) -> None:
    assert 1 <= len(search(query, ALL)) <= 3


SWITCHES = [
    ({}, ALL),
    ({"online_payment": False}, frozenset({"billing"})),
    ({"methods": []}, frozenset({"billing"})),
    ({"billing_shown": False}, frozenset[str]()),
]


@pytest.mark.parametrize(("changes", "features"), SWITCHES)
def test_help_offers_only_what_the_clinic_has(changes: Any, features: articles.Features) -> None:
    assert articles.features_of(a_clinic(**changes)) == features
    shown = [articles.guide(), *articles.every(features)]
    text = " ".join(articles.text_for(each, features) for each in shown)

    assert ("**Pay with Card**" in text) == ("online" in features)
    assert ("(page:billing)" in text) == ("billing" in features)
    assert (articles.find("paying", features) is not None) == ("online" in features)
    found = [hit.article.slug for hit in search("save a card and pay", features)]
    assert ("saved-cards" in found) == ("online" in features)
    assert search("contact", features)


@pytest.mark.parametrize("features", [features for _, features in SWITCHES])
def test_every_link_leads_to_an_article_or_a_page(features: articles.Features) -> None:
    pages = {"", "methods", "contact"} | ({"billing"} if "billing" in features else set())
    for article in [articles.guide(), *articles.every(features)]:
        text = articles.text_for(article, features)
        assert all(articles.find(slug, features) for slug in re.findall(r"\(help:([^)]*)\)", text)), (
            article.slug
        )
        assert set(re.findall(r"\(page:([^)]*)\)", text)) <= pages, article.slug
        html = articles.body(article, "oak", features)
        assert 'href="help:' not in html and "{" not in html


def test_articles_are_rendered_without_any_html_of_their_own() -> None:
    text = "<script>alert(1)</script> **b** [j](javascript:alert(1))"
    article = articles.Article("x", "X", "x", "", "", text)

    body = articles.body(article, "oak", ALL)

    assert "<script" not in body
    assert 'href="javascript' not in body
    assert "<strong>b</strong>" in body
