"""The help centre: what people type leads to the article that answers it, and every link in it leads somewhere."""

import re

import pytest

from services.gateway.portal.help import articles


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
    ],
)
def test_a_question_finds_its_article_first(query: str, slug: str) -> None:
    assert articles.search(query)[0].article.slug == slug


@pytest.mark.parametrize("query", ["", "the of and", "zzzzqqqq", "<script>", "%", "(((", "🦷"])
def test_what_nobody_wrote_about_finds_nothing(query: str) -> None:
    assert articles.search(query) == []


def test_a_found_article_shows_where_it_fits() -> None:
    snippet = articles.search("insurance")[0].snippet

    assert any("insurance" in piece.lower() for piece, fits in snippet if fits)


def test_every_link_leads_to_an_article_or_a_page() -> None:
    pages = {"", "billing", "methods"}
    for article in [articles.guide(), *articles.every()]:
        assert all(articles.find(slug) for slug in re.findall(r"\(help:([^)]*)\)", article.text)), (
            article.slug
        )
        assert set(re.findall(r"\(page:([^)]*)\)", article.text)) <= pages, article.slug
        assert 'href="help:' not in articles.body(article, "oak")


def test_articles_are_rendered_without_any_html_of_their_own() -> None:
    text = "<script>alert(1)</script> **b** [j](javascript:alert(1))"
    article = articles.Article("x", "X", "x", text, articles.guide().terms)

    body = articles.body(article, "oak")

    assert "<script" not in body
    assert 'href="javascript' not in body
    assert "<strong>b</strong>" in body
