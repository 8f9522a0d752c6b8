"""v2's own account."""

from typing import Any

from flask_restx import Namespace, Resource

from app.auth import current_session_id, current_user, current_user_id
from app.caching import MINE, cache
from app.models import User
from app.routes.conditions import if_match
from app.routes.decorators import body, query, returns
from app.routes.v2 import login_required
from app.schemas.v2 import NoQueryV2
from app.schemas.v2.users import AccountUpdateV2, AccountV2
from app.services import users

ns = Namespace("v2-me", description="One's own account (v2)", path="/v2/me")
GUARDED = frozenset({"email", "password"})  # who holds a token for a moment shall not keep the account


@ns.route("")
class Me(Resource):
    @login_required
    @query(ns, NoQueryV2())
    @cache.cached(timeout=300, tags=MINE, private=True)
    @returns(ns, AccountV2())
    def get(self, query: dict[str, Any]) -> User:
        """Read one's own account."""
        return users.one(current_user_id())

    @login_required
    @body(ns, AccountUpdateV2())
    @returns(ns, AccountV2())
    def patch(self, data: dict[str, Any]) -> User:
        """Change one's own account and profile."""
        actor, check, session_id = current_user(), if_match(AccountV2()), current_session_id()
        return users.change(actor, actor.id, check, session_id=session_id, guarded=GUARDED, **data)
