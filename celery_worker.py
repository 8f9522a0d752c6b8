"""Worker entry: `celery -A celery_worker.celery worker -Q notifications,mail`."""

from run import app

celery = app.extensions["celery"]
