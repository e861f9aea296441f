"""What the documentation says is what the code does."""

import re
from pathlib import Path

import pytest
from support.reference import FOLDER, pages

from caxton.config.codes import MEANINGS, Problem
from caxton.service.api.table import OPERATIONS

ROOT = Path(__file__).parent.parent
LINK = re.compile(r"\[[^\]]+\]\(([^)#\s]+)(#[^)]+)?\)")
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *(ROOT / "tutorial").rglob("*.md")]


@pytest.mark.parametrize("name", list(pages()))
def test_a_reference_page_says_what_the_code_says(name):
    written = (FOLDER / name).read_text(encoding="utf-8")
    assert written == pages()[name], "run `make docs`"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_link_of_a_document_leads_somewhere(document):
    for target, anchor in LINK.findall(document.read_text(encoding="utf-8")):
        if target.startswith("http"):
            continue
        file = document.parent / target
        assert file.exists(), f"{document.name} links to {target}"
        if anchor and file.suffix == ".md":
            text = file.read_text(encoding="utf-8")
            headings = {
                re.sub(r"[^\w\- ]", "", h).strip().lower().replace(" ", "-")
                for h in re.findall(r"^#+ (.*)$", text, re.M)
            }
            assert anchor[1:] in headings | set(re.findall(r'id="([^"]+)"', text)), f"{target}{anchor}"


def test_every_diagnostic_code_has_its_meaning():
    assert set(MEANINGS) == set(Problem)


def test_every_operation_says_what_it_does():
    for operation in OPERATIONS:
        assert operation.summary
        assert operation.permission
