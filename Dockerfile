# One image for web, relay, worker and beat: docker-compose.yml says which command each runs.
FROM python:3.11.10-slim-bookworm AS build
WORKDIR /build
COPY requirements/deploy.txt .
RUN python -m venv /venv && /venv/bin/pip install --no-cache-dir --require-hashes -r deploy.txt

FROM python:3.11.10-slim-bookworm
RUN useradd --system --uid 10001 --home-dir /nonexistent broadsheet \
    && install -d -o broadsheet -g broadsheet /srv/broadsheet /data
WORKDIR /srv/broadsheet
COPY --from=build /venv /venv
COPY --chown=root:root app app
COPY --chown=root:root migrations migrations
COPY --chown=root:root run.py celery_worker.py config.py ./
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 APP_ENV=production DATA_DIR=/data LOG_FORMAT=json
RUN python -m compileall -q app /venv/lib
USER broadsheet
EXPOSE 8000
CMD ["granian", "--interface", "wsgi", "--host", "0.0.0.0", "--port", "8000", "run:app"]
