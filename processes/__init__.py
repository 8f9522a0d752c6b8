"""What `python run.py` starts, and how. It stands beside `app` because importing `app` takes a second or more.

- `start.py`: all that has to be right before anything runs; then supervisord takes over the process
- `table.py`: which processes there are, as supervisord is told
- `supervisord.py`: supervisord, whose every line says who spoke
- `web.py`: granian, once the database is migrated
- `tether.py`: a child that dies with its parent
- `speech.py`: a line of output
"""
