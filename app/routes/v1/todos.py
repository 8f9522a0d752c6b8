"""v1's todos."""

from typing import Any

from flask_restx import Namespace, Resource

from app.auth import current_user
from app.caching import MINE, cache
from app.models import Todo
from app.routes.conditions import idempotent, if_match
from app.routes.decorators import body, query, returns
from app.routes.v1 import login_required
from app.schemas.v1.messages import MessageV1
from app.schemas.v1.todos import TodoCreateV1, TodoQueryV1, TodoUpdateV1, TodoV1
from app.services import todos
from app.services.page import Page

ns = Namespace("v1-todos", description="One's own todos (v1)", path="/v1/todos")


@ns.route("")
class TodoList(Resource):
    @login_required
    @query(ns, TodoQueryV1())
    @cache.cached(timeout=300, tags=MINE, private=True)
    @returns(ns, TodoV1(many=True))
    def get(self, query: dict[str, Any]) -> Page:
        """List one's own todos, oldest first."""
        return todos.listed(current_user(), **query)

    @login_required
    @idempotent
    @body(ns, TodoCreateV1())
    @returns(ns, TodoV1(), 201)
    def post(self, data: dict[str, Any]) -> Todo:
        """Write down what is to be done."""
        return todos.create(current_user(), **data)


@ns.route("/<int:id>")
class TodoItem(Resource):
    @login_required
    @cache.cached(timeout=300, tags=MINE, private=True)
    @returns(ns, TodoV1())
    def get(self, id: int) -> Todo:
        """Read a todo of one's own."""
        return todos.one(current_user(), id)

    @login_required
    @body(ns, TodoUpdateV1())
    @returns(ns, TodoV1())
    def put(self, id: int, data: dict[str, Any]) -> Todo:
        """Change a todo of one's own."""
        return todos.change(current_user(), id, if_match(TodoV1()), **data)

    @login_required
    @returns(ns, MessageV1())
    def delete(self, id: int) -> dict[str, Any]:
        """Delete a todo of one's own."""
        todos.delete(current_user(), id, if_match(TodoV1()))
        return {"message": "Todo deleted"}
