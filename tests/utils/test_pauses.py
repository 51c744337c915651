from multitask.utils.pauses import Pauses


def test_a_pause_is_longer_than_half_of_the_grace_and_told_once() -> None:
    pauses = Pauses(20.0, now=100.0)
    assert [pauses.until(now) for now in (110.0, 120.5, 121.0, 3721.0, 3721.0)] == [0.0, 10.5, 0.0, 3600.0, 0.0]
