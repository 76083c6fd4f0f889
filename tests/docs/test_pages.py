"""The pages hold together: links lead somewhere, examples are programs, the picture's words exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bench import judgement
from contracts.sizes import REPOSITORY

FOLDERS = ("docs", "changelog.d", "sample_projects")
PAGES = sorted([*REPOSITORY.glob("*.md"), *(path for name in FOLDERS for path in (REPOSITORY / name).rglob("*.md"))])
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def fenced(language: str) -> list[tuple[str, str]]:
    return [
        (str(page.relative_to(REPOSITORY)), text)
        for page in PAGES
        for found, text in FENCED.findall(page.read_text(encoding="utf-8"))
        if found == language
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_each_link_leads_to_a_page_and_a_heading(page: Path) -> None:
    prose = FENCED.sub("", page.read_text(encoding="utf-8"))

    for target in re.findall(r"\]\(([^)\s]+)\)", prose):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        linked = page if not name else page.parent / name
        assert linked.exists(), target
        if anchor:
            assert anchor in anchors(linked), target


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize(("page", "text"), fenced("python"), ids=lambda value: value[:40])
def test_each_python_example_describes_a_pipeline(
    page: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}

    exec(compile(text, page, "exec"), names)

    assert type(names["pipeline"]).__name__ == "Pipeline"


def test_each_record_of_a_decision_is_listed_and_is_one_screen() -> None:
    folder = REPOSITORY / "docs" / "decisions"
    listed = (folder / "README.md").read_text(encoding="utf-8")
    records = sorted(folder.glob("0*.md"))

    assert records
    for record in records:
        text = record.read_text(encoding="utf-8")
        assert f"]({record.name}) {text.splitlines()[0][7:]}" in listed
        assert text.count("\n") <= 50
        assert "**Decision.**" in text
        assert "**Cost.**" in text


def test_each_changelog_fragment_says_its_kind_and_is_one_paragraph() -> None:
    for fragment in (REPOSITORY / "changelog.d").glob("*.md"):
        if fragment.name != "README.md":
            assert re.match(r"(added|changed|fixed)-[a-z0-9-]+\.md$", fragment.name)
            assert "\n\n" not in fragment.read_text(encoding="utf-8").strip()


def test_each_budgeted_row_has_its_measurement_in_the_documents() -> None:
    text = (REPOSITORY / "docs" / "performance.md").read_text(encoding="utf-8")

    missing = [row for row in judgement.budgets()["rows"] if f"| {row} |" not in text]

    assert missing == []
