"""The documents say what is true of the code: names, links, reasons, settings, metrics and policies in them exist."""

import re
from pathlib import Path

import pytest
import yaml

from aiagent_operator.api.agentaction import AgentAction
from aiagent_operator.api.agentpolicy import AgentPolicy
from aiagent_operator.api.agentrole import AgentRole
from aiagent_operator.api.aiagent import AIAgent
from aiagent_operator.api.conditions import Reason, Type
from aiagent_operator.api.kinds import KINDS
from aiagent_operator.api.meta import GROUP
from aiagent_operator.core.rights import forbidden
from aiagent_operator.core.rights.ledger import MOST_RIGHTS
from aiagent_operator.runtime import metrics
from aiagent_operator.runtime.settings import PREFIX, Settings
from support.documents import DOCUMENTS, ROOT, SAMPLES, anchors, blocks, code, commands, headings, links, objects, prose

TROUBLESHOOTING = ROOT / "docs" / "troubleshooting.md"
PERMISSIONS = ROOT / "docs" / "permissions.md"
ARCHITECTURE = ROOT / "docs" / "architecture.md"
INSTALL = ROOT / "docs" / "install.md"
CHART = ROOT / "charts" / "aiagent-operator"
PACKAGE = ROOT / "operator" / "aiagent_operator"
MODELS = {"AIAgent": AIAgent, "AgentRole": AgentRole, "AgentPolicy": AgentPolicy, "AgentAction": AgentAction}

each = pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))


def _section(path: Path, heading: str) -> str:
    """The text below a heading, up to the next one."""
    found = re.search(rf"^#+ {re.escape(heading)}$(.*?)(?=^#|\Z)", path.read_text(), re.MULTILINE | re.DOTALL)
    assert found, f"{path.name} has no section {heading}"
    return found[1]


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_is_explained_with_its_remedy(reason: Reason) -> None:
    text = _section(TROUBLESHOOTING, f"`{reason.value}`")
    assert re.search(r"\*\*Means\*\*\s\S", text)
    assert re.search(r"\*\*Do\*\*\s\S", text)


def test_no_reason_is_explained_that_does_not_exist() -> None:
    explained = {found[1] for heading in headings(TROUBLESHOOTING) if (found := re.fullmatch(r"`(\w+)`", heading))}
    assert explained == {reason.value for reason in Reason}


def test_every_condition_is_explained() -> None:
    assert {kind.value for kind in Type} <= set(code(TROUBLESHOOTING))


@each
def test_yaml_can_be_read(path: Path) -> None:
    for block in blocks(path, "yaml"):
        assert objects(block), f"{block} is empty"


@each
def test_objects_of_our_kinds_can_be_parsed(path: Path) -> None:
    for block in blocks(path, "yaml"):
        for document in objects(block):
            if str(document.get("apiVersion", "")).startswith("workforce.dev/") and "spec" in document:
                MODELS[document["kind"]].model_validate(document)


def test_samples_can_be_parsed() -> None:
    documents = [d for p in sorted(SAMPLES.rglob("*.yaml")) for d in yaml.safe_load_all(p.read_text()) if d]
    ours = [document for document in documents if document["kind"] in MODELS]
    # An order is given in one's own name, which no sample knows.
    assert {document["kind"] for document in ours} == set(MODELS) - {"AgentAction"}
    for document in ours:
        MODELS[document["kind"]].model_validate(document)


@each
def test_links_lead_somewhere(path: Path) -> None:
    for link in links(path):
        name, _, fragment = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        assert target.exists(), f"{path.name}: {link} leads nowhere"
        assert not fragment or fragment in anchors(target), f"{path.name}: {target.name} has no heading #{fragment}"


@each
def test_make_targets_exist(path: Path) -> None:
    known = set(re.findall(r"^([a-z][a-z0-9-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for command in commands(path):
        found = re.search(r"(?:^|\s)make((?: [a-z][a-z0-9-]*)+)", command.partition("#")[0])
        if found:
            assert set(found[1].split()) <= known, f"{path.name}: {command}"


@each
def test_variables_exist(path: Path) -> None:
    settings = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
    mentioned = set(re.findall(rf"{PREFIX}[A-Z_]*[A-Z]", path.read_text()))
    tests = "".join(file.read_text() for file in (ROOT / "tests").rglob("*.py") if file != Path(__file__))
    unknown = {name for name in mentioned - settings if f'"{name}"' not in tests}
    assert not unknown, f"{path.name} names variables that do not exist"


def _metrics() -> set[str]:
    return set(re.findall(r"^# TYPE (aiagent_\w+) ", metrics.exposition().decode(), re.MULTILINE))


@each
def test_metrics_exist(path: Path) -> None:
    mentioned = {found[0] for text in code(path) if (found := re.match(r"aiagent_[a-z_]+", text))}
    known = _metrics()
    assert mentioned - {"aiagent_operator"} <= known | {f"{name}_total" for name in known}


def test_every_metric_is_explained() -> None:
    mentioned = {found[0] for text in code(ARCHITECTURE) if (found := re.match(r"aiagent_[a-z_]+", text))}
    own = {name for name in _metrics() if not name.endswith("_created")}
    missing = {name for name in own if not {name, f"{name}_total"} & mentioned}
    assert not missing


@each
def test_policies_exist(path: Path) -> None:
    templates = "".join(file.read_text() for file in (CHART / "templates" / "policies").glob("*.yaml"))
    known = set(re.findall(r'"policy\.head" \(dict "ctx" \. "name" "([\w-]+)"\)', templates))
    known |= set(re.findall(r"kind: MutatingAdmissionPolicy\nmetadata:\n  name: ([\w-]+)\.workforce\.dev", templates))
    for group in re.findall(r"polic(?:y|ies) ((?:`[\w.-]+`(?:,| and)? ?)+)", prose(path).replace("\n", " ")):
        for name in re.findall(r"`([\w.-]+)`", group):
            assert name.removesuffix(".workforce.dev") in known, f"{path.name}: there is no policy {name}"


def test_chart_values_exist() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    table = re.search(r"^\| value \| for \|\n\|[-|]+\n((?:\|.*\n)+)", INSTALL.read_text(), re.MULTILINE)
    assert table
    for name in re.findall(r"^\| `([\w.]+)` \|", table[1], re.MULTILINE):
        node = values
        for part in name.split("."):
            assert part in node, f"the chart has no value {name}"
            node = node[part]


def test_the_way_out_names_every_definition() -> None:
    lines = [line for line in commands(INSTALL) if line.startswith(("kubectl annotate crd", "kubectl delete crd"))]
    assert len(lines) == 2
    for line in lines:
        assert re.findall(r"\w+\.workforce\.dev", line) == sorted(f"{kind.plural}.{GROUP}" for kind in KINDS)


@each
def test_files_that_are_named_exist(path: Path) -> None:
    for text in code(path):
        if re.fullmatch(r"(?:runtime|core|api)/[\w./]*", text):
            assert (PACKAGE / text).exists(), f"{path.name}: {text} does not exist"
        elif re.fullmatch(r"(?:operator|tests|charts|manifests|crds|docs)/[\w./-]*", text):
            assert (ROOT / text).exists(), f"{path.name}: {text} does not exist"


def test_everything_that_no_agent_may_hold_is_listed() -> None:
    section = _section(PERMISSIONS, "What no agent may hold")
    named = set(re.findall(r"`([^`\n]+)`", section))
    listed = {*forbidden.VERBS, *forbidden.VERB_PREFIXES, *forbidden.GROUPS, *forbidden.RESOURCES} - {"*"}
    assert listed <= named
    assert "wildcards" in section
    assert {part.strip("/") for part in forbidden.RESOURCE_PARTS} - {"*"} <= named


def test_the_bound_on_rights_is_stated_as_it_is() -> None:
    assert f"At most {MOST_RIGHTS} " in prose(PERMISSIONS).replace("\n", " ")
    assert f"more than {MOST_RIGHTS} rights" in prose(TROUBLESHOOTING).replace("\n", " ")


@each
def test_text_is_plain(path: Path) -> None:
    text = path.read_text()
    assert not re.findall("[\u2013\u2014]", text), "no dashes but hyphens"
    assert not re.findall(r"/(?:root|work|home|tmp)/", text), "no paths of somebody's machine"
