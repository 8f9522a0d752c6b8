"""The tasks of webhooks. Named as the subscribers in `app/events.py`."""

from app.services import webhooks
from app.tasks.delivery import delivers

notify_webhooks_of_post = delivers(webhooks.notify_webhooks_of_post)
notify_webhooks_of_deletion = delivers(webhooks.notify_webhooks_of_deletion)
notify_webhooks_of_registration = delivers(webhooks.notify_webhooks_of_registration)
notify_webhooks_of_follower = delivers(webhooks.notify_webhooks_of_follower)
post_webhook = delivers(webhooks.post_webhook)
