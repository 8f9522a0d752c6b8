"""The tasks that tell someone. Named as the subscribers in `app/events.py`."""

from app.services import notifications
from app.tasks.delivery import delivers

notify_author = delivers(notifications.notify_author)
notify_followers = delivers(notifications.notify_followers)
notify_some_followers = delivers(notifications.notify_some_followers)
notify_admins = delivers(notifications.notify_admins)
notify_author_of_deletion = delivers(notifications.notify_author_of_deletion)
welcome = delivers(notifications.welcome)
notify_followed = delivers(notifications.notify_followed)
notify_of_password = delivers(notifications.notify_of_password)
notify_of_todo = delivers(notifications.notify_of_todo)
send_mail = delivers(notifications.send_mail)
send_warning = delivers(notifications.send_warning)
