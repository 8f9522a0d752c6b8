"""Worker entry: `celery -A celery_worker.celery worker -Q notifications,mail`."""

from app import create_app

flask_app = create_app()
celery = flask_app.extensions["celery"]
