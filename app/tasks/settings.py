"""Celery's settings, each with its reason (HARDENING §2 has the measurements)."""

from __future__ import annotations

from typing import Any

from celery.schedules import crontab

VISIBILITY_TIMEOUT_SECONDS = 300  # longer than any task may run, short enough to wait for
# What finds no worker is not waited for by the next of its kind. One beat at a time; two of them do no harm.
SCHEDULE = {
    "prune": {"task": "prune", "schedule": crontab(minute=17), "options": {"expires": 3000}},
    "send_digests": {"task": "send_digests", "schedule": crontab(minute=2), "options": {"expires": 3000}},
    "remind": {"task": "remind", "schedule": crontab(), "options": {"expires": 50}},
}


def celery_settings(broker_url: str, sentinel_master: str = "mymaster") -> dict[str, Any]:
    """What `celery.conf.update` takes.

    :param sentinel_master: the master's name, where the URL is that of sentinels (`sentinel://one:26379;sentinel://…`).
    """
    return {
        "broker_url": broker_url,
        "broker_transport_options": _transport_options(broker_url, sentinel_master),
        "broker_connection_retry_on_startup": True,  # the broker may start after the worker
        "broker_connection_max_retries": None,  # and may be away for long
        # The relay asks again by itself; it must not stand still for the default's minutes.
        "task_publish_retry_policy": {"max_retries": 1, "interval_start": 0, "interval_step": 0.1, "interval_max": 0.2},
        "task_ignore_result": True,  # a result backend makes publishing wait 19 s while Redis is away
        "task_serializer": "json",
        "event_serializer": "json",
        "accept_content": ["json"],  # pickle would run whatever is in the queue
        "task_acks_late": True,  # a task whose worker dies is not lost
        "task_reject_on_worker_lost": False,  # its end is noted in the outbox, which counts attempts and tries again
        "worker_prefetch_multiplier": 1,  # nobody hoards what another could do
        "task_soft_time_limit": 30,  # three times a mail server's 10 s; it is noted as an error and tried again
        "task_time_limit": 45,  # for what does not heed the soft one: its child is killed, which is noted too
        "worker_max_tasks_per_child": 1000,  # memory that leaks comes back
        "worker_max_memory_per_child": 250_000,  # kB: and what grows all at once
        "worker_eta_task_limit": 1000,  # we have no ETA: whatever else sends some cannot fill the worker's memory
        "worker_soft_shutdown_timeout": 5,  # with REMAP_SIGTERM=SIGQUIT: 5 s to finish, then the outbox tries again
        "worker_cancel_long_running_tasks_on_connection_loss": False,  # the mail on its way would be sent again
        "worker_hijack_root_logger": False,  # the format is ours, and has the request's id
        "worker_send_task_events": False,  # nobody listens; the outbox says what was done
        "beat_schedule": SCHEDULE,
        "task_default_queue": "notifications",
        "task_routes": {
            "send_mail": {"queue": "mail"},  # a slow mail server stops no inbox
            "send_digest": {"queue": "mail"},
            "send_warning": {"queue": "urgent"},  # behind no other mail
            "refresh_statistics": {"queue": "background"},  # what takes long makes nobody wait for his mail
            "notify_some_followers": {"queue": "background"},  # nor do a hundred thousand followers of one
            "post_webhook": {"queue": "webhooks"},  # nor programs of others, which may think for 18 s
        },
    }


def _transport_options(broker_url: str, sentinel_master: str) -> dict[str, Any]:
    if not broker_url.startswith(("redis", "sentinel")):
        return {}
    return {
        "master_name": sentinel_master,
        "visibility_timeout": VISIBILITY_TIMEOUT_SECONDS,
        "unacked_restore_interval": 10,
        "unacked_restore_throttle": 1,  # by default a dead worker's task comes back after 100 s more
        "socket_timeout": 15,  # without it a connection dropped in silence leaves a worker alive and deaf
        "socket_connect_timeout": 2,
        "socket_keepalive": True,
        "health_check_interval": 10,
    }
