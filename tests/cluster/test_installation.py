"""What tests run the operator with keeps them from running two that fight for the Lease."""

import pytest

from support.operator import Installation
from support.workplace import Workplace

pytestmark = pytest.mark.cluster


def test_the_shared_operator_does_not_start_beside_one_of_a_test_s_own(
    vacant: Workplace, installed: Installation
) -> None:
    with installed.alone() as operator:
        vacant.employ("triage", vacant.new_role())
        with pytest.raises(AssertionError, match=f"process {operator.pid}.* until_idle"):
            vacant.until_settled("triage")
        operator.until_idle()
        assert operator.is_leading()

    assert installed.operator().is_leading()
