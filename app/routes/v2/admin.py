"""v2's administration."""

from typing import Any

from flask_restx import Namespace, Resource

from app.auth import current_user
from app.models import User
from app.routes.conditions import if_match
from app.routes.decorators import body, query, returns
from app.routes.v2 import admin_required
from app.schemas.v2 import NoQueryV2
from app.schemas.v2.users import AdministeredUserV2, AdministerV2, UserPageV2, UserQueryV2
from app.services import users
from app.services.page import Page

ns = Namespace("v2-admin", description="Administration (v2)", path="/v2/admin")


@ns.route("/users")
class Accounts(Resource):
    @admin_required
    @ns.doc(id="list_accounts")
    @query(ns, UserQueryV2())
    @returns(ns, UserPageV2)
    def get(self, query: dict[str, Any]) -> Page:
        """List accounts with their data, oldest first."""
        return users.searched(current_user(), **query)


@ns.route("/users/<int:id>")
class Account(Resource):
    @admin_required
    @ns.doc(id="get_account")
    @query(ns, NoQueryV2())
    @returns(ns, AdministeredUserV2())
    def get(self, id: int, query: dict[str, Any]) -> User:
        """Read an account."""
        return users.account(current_user(), id)

    @admin_required
    @ns.doc(id="administer_account")
    @body(ns, AdministerV2())
    @returns(ns, AdministeredUserV2())
    def patch(self, id: int, data: dict[str, Any]) -> User:
        """Give an account a role, shut it or open it again."""
        return users.administer(current_user(), id, if_match(AdministeredUserV2()), **data)

    @admin_required
    @ns.doc(id="delete_account")
    @returns(ns, None, 204)
    def delete(self, id: int) -> None:
        """Delete an account and put its posts into the trash."""
        users.delete(current_user(), id, if_match(AdministeredUserV2()))
