"""How pods go over from one version to another: never fewer ready than wanted, and always to an end."""

from hypothesis import given
from hypothesis import strategies as st

from aiagent_operator.core.workload.rolling import Pods, Split, split, surge

pods = st.builds(Pods, st.integers(0, 40), st.integers(0, 40), st.integers(0, 40)).map(
    lambda each: Pods(each.asked, each.existing, min(each.ready, each.existing))
)


class Controllers:
    """Deployments of two versions, whose controllers do what Deployments' do: `ready` decides which pods become so."""

    def __init__(self, serving: int, *, works: bool) -> None:
        self.stable, self.target, self.works = Pods(serving, serving, serving), Pods(), works

    def step(self, asked: Split) -> None:
        """Asks for pods, and lets one of each version come or go."""
        self.stable = self._moved(self.stable, asked.stable, works=True)
        self.target = self._moved(self.target, asked.target, works=self.works)

    @staticmethod
    def _moved(now: Pods, asked: int, *, works: bool) -> Pods:
        if now.existing < asked:
            return Pods(asked, now.existing + 1, now.ready)
        if now.existing > asked:
            # What is not ready goes first (Kubernetes: ReplicaSet, scaling down).
            return Pods(asked, now.existing - 1, min(now.ready, now.existing - 1))
        return Pods(asked, asked, min(asked, now.ready + 1) if works else now.ready)


@given(wanted=st.integers(0, 40))
def test_a_version_that_works_takes_over_without_ever_too_few_ready(wanted: int) -> None:
    world = Controllers(wanted, works=True)
    for _ in range(40 * (wanted + 3)):
        if world.target == Pods(wanted, wanted, wanted) and wanted:
            break
        world.step(split(wanted, world.stable, world.target, {}))
        assert world.stable.ready + world.target.ready >= wanted
        assert world.stable.existing + world.target.existing <= wanted + surge(wanted)
    assert world.target == Pods(wanted, wanted, wanted)


@given(wanted=st.integers(1, 40))
def test_a_version_that_never_becomes_ready_takes_nothing_away(wanted: int) -> None:
    world = Controllers(wanted, works=False)
    for _ in range(40):
        asked = split(wanted, world.stable, world.target, {})
        world.step(asked)
        assert world.stable == Pods(wanted, wanted, wanted)
        assert asked.target <= surge(wanted)


@given(wanted=st.integers(1, 40), lost=st.integers(1, 40))
def test_pods_of_the_new_version_that_fail_bring_the_old_ones_back(wanted: int, lost: int) -> None:
    ready = max(0, wanted - lost)
    assert split(wanted, Pods(), Pods(wanted, wanted, ready), {}).stable == wanted - ready


@given(wanted=st.integers(0, 40), stable=pods, target=pods, former=st.dictionaries(st.sampled_from("abc"), pods))
def test_what_is_asked_for_is_enough_and_former_ones_go_only_when_they_are_not_needed(
    wanted: int, stable: Pods, target: Pods, former: dict[str, Pods]
) -> None:
    asked = split(wanted, stable, target, former)
    assert 0 <= asked.target <= wanted
    assert asked.stable + target.ready >= wanted
    stays = min(stable.ready, asked.stable) + target.ready
    assert all(former[name].ready == 0 or stays >= wanted for name in asked.gone)
    assert all(name in asked.gone for name, each in former.items() if each.ready == 0 or stays >= wanted)


@given(wanted=st.integers(1, 40), former=st.dictionaries(st.sampled_from("abc"), pods), stable=pods)
def test_the_newest_always_gets_room(wanted: int, former: dict[str, Pods], stable: Pods) -> None:
    assert split(wanted, stable, Pods(), former).target >= 1


@given(wanted=st.integers(0, 40), one=pods)
def test_without_another_version_one_has_all(wanted: int, one: Pods) -> None:
    assert split(wanted, one, None, {}) == Split(wanted, 0)
    assert split(wanted, None, one, {}) == Split(0, wanted)
