"""What every test here shares: which server is under test, and which tests another server is excused from."""

import signal

import pytest

import servers


def pytest_configure():
    # tests/run ends a step by SIGTERM. Then fixtures must remove their containers, namespaces and files, as after Ctrl-C.
    signal.signal(signal.SIGTERM, _interrupt)


def _interrupt(*_):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


def pytest_report_header():
    return f"server under test: {servers.under_test()}"


def pytest_collection_modifyitems(items):
    # In tests/run the compiler is busy with the Rust tests at first, and so is its lock.
    items.sort(key=lambda item: item.get_closest_marker("compiles") is not None)
    if servers.under_test() != "coturn":
        return
    for item in items:
        if item.get_closest_marker("hairpin_only"):
            item.add_marker(pytest.mark.skip(reason="about Hairpin itself"))
        known = item.get_closest_marker("coturn_fails")
        if known:
            item.add_marker(pytest.mark.xfail(reason=known.args[0], strict=True))
