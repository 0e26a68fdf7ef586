"""docs/reference.md: complete, current, and with links that lead somewhere."""

import re
from pathlib import Path

from aiagent_operator.api.kinds import KINDS
from aiagent_operator.api.reference import markdown
from aiagent_operator.api.schema import crd

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference.md"


def test_committed_page_is_that_of_the_models() -> None:
    assert PAGE.read_text() == markdown(), "docs/reference.md is stale: run `make generate`"


def test_every_field_name_and_every_rule_is_on_the_page() -> None:
    page = markdown()

    def look(node: object) -> None:
        if isinstance(node, list):
            for item in node:
                look(item)
        elif isinstance(node, dict):
            for rule in node.get("x-kubernetes-validations", ()):
                assert rule["message"] in page
            for name in node.get("properties", {}):
                assert re.search(rf"[.`]{re.escape(name)}[`.\[{{]", page), f"{name} is not on the page"
            for child in node.values():
                look(child)

    for kind in KINDS:
        schema = crd(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
        look([schema["spec"], schema["status"]])


def test_links_within_the_page_lead_to_sections() -> None:
    page = markdown()
    sections = {
        re.sub(r"[^\w\- ]", "", title).lower().replace(" ", "-")
        for title in re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    }
    links = set(re.findall(r"\]\(#([^)]+)\)", page))
    assert links
    assert links <= sections


def test_tables_have_the_same_number_of_cells_in_each_row() -> None:
    for line in markdown().splitlines():
        if line.startswith("|"):
            cells = len(re.findall(r"(?<!\\)\|", line)) - 1
            assert cells in (2, 4), line
