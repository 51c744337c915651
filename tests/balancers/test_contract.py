"""What holds of every balancer."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from multitask.balancers import BALANCERS, BalancerSettings
from multitask.settings import validate
from multitask.testing.balancers import BALANCER_CHECKS, scaled_losses_give_scaled_gradients_and_no_other_weights

ROWS = BALANCERS

every_balancer = pytest.mark.parametrize("name", ROWS)


def settings_of(name: str) -> BalancerSettings:
    found = ROWS[name]()
    assert isinstance(found, BalancerSettings)
    return found


@every_balancer
@pytest.mark.parametrize("check", BALANCER_CHECKS, ids=lambda check: check.__name__)
def test_keeps_the_contract(check: Callable[[BalancerSettings], None], name: str) -> None:
    if name == "mgda" and check is scaled_losses_give_scaled_gradients_and_no_other_weights:
        # Its iterations stop at a tolerance.
        scaled_losses_give_scaled_gradients_and_no_other_weights(settings_of(name), 1e-3)
    else:
        check(settings_of(name))


@pytest.mark.parametrize(
    ("name", "missing", "told"),
    [
        ("pcgrad", "torchjd", "torchjd"),
        ("cagrad", "cvxpy", "cvxpy"),
        ("upgrad", "quadprog", "quadprog"),
        ("mgda", "torchjd", "torchjd"),
    ],
)
def test_extra_that_is_not_installed_is_named_with_the_line_that_installs_it(
    name: str, missing: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "multitask.balancers.settings.find_spec", lambda package: None if package == missing else package
    )
    with pytest.raises(ValueError) as caught:
        settings_of(name).check({"mask": 1.0, "age": 1.0}, None)
    assert str(caught.value) == (
        f'balancer: {name} needs {told}, which is not installed; pip install "multitask[torchjd]"'
    )


def test_methods_without_the_extra_do_not_ask_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("multitask.balancers.settings.find_spec", lambda package: None)
    for name in ("fixed", "famo", "gradnorm", "nash_mtl"):
        settings_of(name).check({"mask": 1.0, "age": 1.0}, None)


def test_options_are_checked() -> None:
    for name, wrong in (("dynamic_average", {"temperature": 0.0}), ("gradnorm", {"lr": 0.0}), ("cagrad", {"c": -1.0})):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            validate(ROWS[name], {"name": name, **wrong})
