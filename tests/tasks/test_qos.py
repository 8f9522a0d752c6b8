"""A broker that hangs costs a worker none of the places for messages that it has."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
from kombu import Connection, Consumer, Queue
from redis import exceptions

from app import tasks
from tests.servers import Redis


@pytest.fixture
def broker() -> Iterator[Redis]:
    redis = Redis()
    yield redis
    redis.stop()


@pytest.mark.parametrize("end", ["ack", "reject", "requeue"])
def test_a_worker_whose_word_a_hung_broker_did_not_take_gets_the_next_message(app, broker, end):
    tasks.init_app(app)
    heard = []
    with Connection(broker.broker_url, transport_options={"socket_timeout": 0.3}) as connection:
        queue = Queue("letters", routing_key="letters")
        producer = connection.Producer(serializer="json")
        with Consumer(connection, queue, callbacks=[lambda body, message: heard.append((body, message))]) as consumer:
            consumer.qos(prefetch_count=1)
            producer.publish("first", routing_key="letters", declare=[queue])
            connection.drain_events(timeout=5)
            ((_, message),) = heard
            broker.popen.send_signal(signal.SIGSTOP)
            try:
                with pytest.raises(exceptions.TimeoutError):
                    getattr(message, end)()
            finally:
                broker.popen.send_signal(signal.SIGCONT)
            producer.publish("second", routing_key="letters")
            connection.drain_events(timeout=5)
    assert heard[1][0] in ("first", "second")  # a broker that hung may have taken the word all the same
