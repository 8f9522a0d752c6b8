"""v2: what we want frontends to use."""

from app.auth import Guards

guards = Guards("v2")
login_required, admin_required, public = (guards.login_required, guards.admin_required, guards.public)
