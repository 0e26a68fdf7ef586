"""What is written of a status: only what changed, so that the API server makes of the old one the new one."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from aiagent_operator.runtime import report

values = st.recursive(
    st.one_of(st.integers(), st.text(max_size=3), st.lists(st.integers(), max_size=2)),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)


def merged(target: Any, patch: Any) -> Any:
    """RFC 7396, section 2, as it stands there."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result


@given(old=st.dictionaries(st.sampled_from("xyz"), values), new=st.dictionaries(st.sampled_from("xyz"), values))
def test_the_patch_makes_of_the_old_status_the_new_one(old: dict[str, Any], new: dict[str, Any]) -> None:
    before = old | {"observedGeneration": 1, "conditions": []}
    after = merged(before, report.changes(before, new, (), 1))
    assert after == before | new
    assert report.changes(after, new, (), 1) == {}
