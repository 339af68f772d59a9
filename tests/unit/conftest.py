"""A client whose servers are fakes."""

from typing import cast

import pytest

from _yadtq.broker import Broker
from _yadtq.store import Store
from tests.support.failing_servers import FakeBroker, FakeStore
from yadtq import TaskClient


@pytest.fixture
def broker() -> FakeBroker:
    return FakeBroker()


@pytest.fixture
def store() -> FakeStore:
    return FakeStore()


@pytest.fixture
def client(broker: FakeBroker, store: FakeStore) -> TaskClient:
    return TaskClient(broker=cast(Broker, broker), result_store=cast(Store, store))
