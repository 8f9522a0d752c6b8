"""v1, plain and frozen."""

from app.auth import Guards

guards = Guards("v1", "v2", bare=True)
login_required, admin_required, public = (guards.login_required, guards.admin_required, guards.public)
