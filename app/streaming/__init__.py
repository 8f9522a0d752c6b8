"""The live stream of the inbox, a process of its own: two streams would hold two of the web's threads for good."""

from app.streaming.asgi import create

__all__ = ["create"]
