"""v2's todos."""

from typing import Any

from flask import Response, request
from flask_restx import Namespace, Resource

from app.auth import current_user
from app.caching import MINE, cache
from app.models import Todo
from app.routes.conditions import idempotent, if_match
from app.routes.decorators import body, query, returns
from app.routes.v2 import login_required
from app.schemas.v2 import NoQueryV2
from app.schemas.v2.todos import TodoCreateV2, TodoPageV2, TodoQueryV2, TodoUpdateV2, TodoV2
from app.services import todos
from app.services.page import Page

ns = Namespace("v2-todos", description="One's own todos (v2)", path="/v2/todos")


def _is_good_for_a_while(response: Response) -> bool:
    """What is overdue changes while nobody writes."""
    return "overdue" not in request.args


@ns.route("")
class TodoList(Resource):
    @login_required
    @query(ns, TodoQueryV2())
    @cache.cached(timeout=300, tags=MINE, private=True, response_filter=_is_good_for_a_while)
    @returns(ns, TodoPageV2)
    def get(self, query: dict[str, Any]) -> Page:
        """List one's own todos, oldest first by default."""
        return todos.searched(current_user(), **query)

    @login_required
    @idempotent
    @body(ns, TodoCreateV2())
    @returns(ns, TodoV2(), 201)
    def post(self, data: dict[str, Any]) -> Todo:
        """Write down what is to be done."""
        return todos.create(current_user(), **data)


@ns.route("/<int:id>")
class TodoItem(Resource):
    @login_required
    @query(ns, NoQueryV2())
    @cache.cached(timeout=300, tags=MINE, private=True)
    @returns(ns, TodoV2())
    def get(self, id: int, query: dict[str, Any]) -> Todo:
        """Read a todo of one's own."""
        return todos.one(current_user(), id)

    @login_required
    @body(ns, TodoUpdateV2())
    @returns(ns, TodoV2())
    def patch(self, id: int, data: dict[str, Any]) -> Todo:
        """Change a todo of one's own."""
        return todos.change(current_user(), id, if_match(TodoV2()), **data)

    @login_required
    @returns(ns, None, 204)
    def delete(self, id: int) -> None:
        """Delete a todo of one's own."""
        todos.delete(current_user(), id, if_match(TodoV2()))
