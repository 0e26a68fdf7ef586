"""The order in which Roles and RoleBindings change: at every moment an agent has no more than
before, or no more than after.

An old right and a new one together, in two namespaces, may be just the combination that a role forbids.
"""

from collections.abc import Iterator, Mapping

from hypothesis import given
from hypothesis import strategies as st

from aiagent_operator.core.children import observe, role, role_binding
from aiagent_operator.core.objects import AgentIdentity, Child, ChildKind, Manifest, ObjectKey
from aiagent_operator.core.plan import Verb, Write
from aiagent_operator.core.rights import bindings
from aiagent_operator.core.rights.rules import Right, Rule, normalise
from aiagent_operator.core.rights.rules import rights as expand

AGENT = AgentIdentity("own", "triage", "u1")
NAMESPACES = ("own", "crm", "billing")
RULES = tuple(
    Rule(("",), (resource,), (verb,)) for resource in ("configmaps", "pods") for verb in ("get", "list", "patch")
)

Wanted = Mapping[str, tuple[Rule, ...]]
wanted = st.dictionaries(
    st.sampled_from(NAMESPACES),
    st.lists(st.sampled_from(RULES), min_size=1, max_size=4, unique=True).map(lambda found: normalise(tuple(found))),
)


class World:
    """Roles and RoleBindings as an API server would keep them."""

    def __init__(self) -> None:
        self.objects: dict[ObjectKey, Manifest] = {}
        self.version = 0

    def children(self) -> dict[ObjectKey, Child]:
        return {key: observe(key.kind, manifest) for key, manifest in self.objects.items()}

    def send(self, write: Write) -> None:
        self.version += 1
        if write.verb is Verb.DELETE:
            del self.objects[write.key]
            return
        assert write.body is not None
        assert (write.verb is Verb.CREATE) == (write.key not in self.objects)
        metadata = {**write.body["metadata"], "uid": f"{write.key}", "resourceVersion": str(self.version)}
        self.objects[write.key] = write.body | {"metadata": metadata}

    def holds(self) -> frozenset[tuple[str, Right]]:
        """What the agent can do: rules of Roles that a binding of its account names."""
        return frozenset(
            (key.namespace, right)
            for key, manifest in self.objects.items()
            if key.kind is ChildKind.ROLE and self._bound(key)
            for right in expand(Rule.from_wire(rule) for rule in manifest["rules"] or ())
        )

    def _bound(self, key: ObjectKey) -> bool:
        binding = self.objects.get(ObjectKey(ChildKind.ROLE_BINDING, key.namespace, key.name))
        return (
            binding is not None and binding["subjects"] == role_binding.build(AGENT, key.namespace).manifest["subjects"]
        )


def granted(rules: Wanted) -> frozenset[tuple[str, Right]]:
    return frozenset((namespace, right) for namespace, found in rules.items() for right in expand(found))


def rounds(world: World, rules: Wanted, *, bind: bool = True) -> Iterator[tuple[Write, ...]]:
    """The writes of each round, until none is left."""
    for _ in range(12):
        plan = bindings.plan(AGENT, rules, world.children(), bind=bind)
        writes = plan.revoke or plan.grant
        if not writes:
            return
        yield writes
    raise AssertionError("not settled after 12 rounds")


def settle(world: World, rules: Wanted, *, bind: bool = True) -> None:
    for writes in rounds(world, rules, bind=bind):
        for write in writes:
            world.send(write)


@given(old=wanted, new=wanted, order=st.randoms(use_true_random=False))
def test_every_moment_of_a_change_is_within_the_old_or_within_the_new(old: Wanted, new: Wanted, order) -> None:  # type: ignore[no-untyped-def]
    world = World()
    settle(world, old)
    assert world.holds() == granted(old)
    for writes in rounds(world, new):
        shuffled = list(writes)
        order.shuffle(shuffled)
        for write in shuffled:
            before = world.holds()
            world.send(write)
            now = world.holds()
            assert now <= granted(old) or now <= granted(new), f"{write.verb} of {write.key}"
            assert write.grants or now <= before, f"{write.verb} of {write.key} grants without saying so"
    assert world.holds() == granted(new)


@given(old=wanted, new=wanted, crash=st.integers(0, 20))
def test_a_change_that_is_cut_off_anywhere_is_finished_by_the_next(old: Wanted, new: Wanted, crash: int) -> None:
    world = World()
    settle(world, old)
    sent = 0
    for writes in rounds(world, new):
        for write in writes:
            if sent == crash:
                break
            world.send(write)
            sent += 1
        if sent == crash:
            break
    settle(world, new)
    assert world.holds() == granted(new)
    assert {key.namespace for key in world.objects} == set(new)


@given(rules=wanted)
def test_what_is_settled_needs_no_write(rules: Wanted) -> None:
    world = World()
    settle(world, rules)
    assert bindings.plan(AGENT, rules, world.children(), bind=True).done


@given(rules=wanted)
def test_without_binding_no_right_is_left_and_roles_stay(rules: Wanted) -> None:
    world = World()
    settle(world, rules)
    settle(world, rules, bind=False)
    assert world.holds() == frozenset()
    assert {key.kind for key in world.objects} <= {ChildKind.ROLE}
    assert len(world.objects) == len(rules)


@given(rules=wanted.filter(bool), stranger=st.booleans())
def test_a_binding_that_somebody_changed_is_put_right(rules: Wanted, stranger: bool) -> None:
    world = World()
    settle(world, rules)
    key = role_binding.build(AGENT, next(iter(rules))).key
    subjects = [{"kind": "User", "name": "mallory", "apiGroup": "rbac.authorization.k8s.io"}] if stranger else []
    world.objects[key] = world.objects[key] | {"subjects": subjects}
    settle(world, rules)
    assert world.holds() == granted(rules)
    assert world.objects[key]["subjects"] == role_binding.build(AGENT, key.namespace).manifest["subjects"]


def test_a_role_widened_under_a_changed_binding_is_narrowed_before_the_binding_counts_again() -> None:
    world = World()
    rules = {"crm": normalise((RULES[0],))}
    settle(world, rules)
    wide = role.build(AGENT, "crm", normalise(RULES))
    world.objects[wide.key] = world.objects[wide.key] | {"rules": wide.manifest["rules"]}
    binding = role_binding.build(AGENT, "crm").key
    world.objects[binding] = world.objects[binding] | {"subjects": []}
    for writes in rounds(world, rules):
        for write in writes:
            world.send(write)
            assert world.holds() <= granted(rules)
    assert world.holds() == granted(rules)
