"""The tasks that tell someone. Named as the subscribers in `app/events.py`."""

from app.services import notifications
from app.tasks.delivery import delivers

notify_author = delivers(notifications.notify_author)
notify_followers = delivers(notifications.notify_followers)
notify_admins = delivers(notifications.notify_admins)
send_mail = delivers(notifications.send_mail)
