"""A library is quiet while it works for us, and as it was afterwards."""

from __future__ import annotations

import logging

import pytest

from multitask.utils.quiet import only_errors


def test_a_logger_gives_errors_alone_and_is_as_before(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("tests.quiet.library")
    logger.setLevel(logging.INFO)
    with only_errors("tests.quiet.library"):
        logger.warning("not heard")
        logger.error("heard")
    logger.info("heard again")
    assert [record.getMessage() for record in caplog.records] == ["heard", "heard again"]
