"""A body's bytes as a validated request, or what is wrong with it in OpenAI's words."""

from typing import TypeVar

from pydantic import BaseModel, ValidationError

from embedplane_server.routes.errors import InvalidRequest

Request = TypeVar("Request", bound=BaseModel)


def parse(kind: type[Request], body: bytes) -> Request:
    """Validate a body. JSON that is nested deeper than 200 levels is not parsed."""
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
    if problem["type"] == "json_invalid":
        raise InvalidRequest(
            "We could not parse the JSON body of your request. (HINT: This likely means you aren't using your HTTP "
            f"library correctly. The server expects a JSON payload: {problem['msg']}.)"
        )
    if not problem["loc"]:
        raise InvalidRequest("The JSON body of your request must be an object.")
    field = str(problem["loc"][0])
    if problem["type"] == "missing":
        raise InvalidRequest(f"Missing required parameter: '{'.'.join(map(str, problem['loc']))}'.", field)
    raise InvalidRequest(f"Invalid value for '{field}': {problem['msg'].removeprefix('Value error, ')}.", field)
