"""How many messages a worker may hold: a place that is never lost to a broker that does not answer."""

from __future__ import annotations

from kombu.transport import redis, virtual


class QoS(redis.QoS):  # type: ignore[misc]  # kombu has no types
    """Gives a message's place back although Redis took no word of its end.

    kombu 5.7 keeps it: with each acknowledgement that times out a worker works at one message less, and at last it
    hears of none. What Redis was not told of it gives out again after its visibility timeout, and the outbox, which
    knows that it is done, does nothing then.
    """

    def ack(self, delivery_tag: str) -> None:
        """Tell Redis that a message is done.

        :raises redis.RedisError, OSError: it could not be told.
        """
        try:
            super().ack(delivery_tag)
        except Exception:
            virtual.QoS.ack(self, delivery_tag)
            raise

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Tell Redis that a message is not wanted, or is for somebody else.

        :raises redis.RedisError, OSError: it could not be told.
        """
        try:
            super().reject(delivery_tag, requeue)
        except Exception:
            virtual.QoS.ack(self, delivery_tag)
            raise


def install() -> None:
    """Let each connection of this process use it."""
    redis.Channel.QoS = QoS
