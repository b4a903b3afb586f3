"""What every model of the API builds on: camelCase outside, CEL rules, bounded types.

Neighbours: `pods.py` (the parts of core/v1 we embed), `v1alpha1.py` (the API), `../crd.py` (turns them into YAML).
"""

from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, WithJsonSchema
from pydantic.alias_generators import to_camel

Schema = dict[str, JsonValue]

QUANTITY = (
    r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$"
)
INT_OR_STRING: Schema = {"anyOf": [{"type": "integer"}, {"type": "string"}], "x-kubernetes-int-or-string": True}


class ApiModel(BaseModel):
    """A part of an object as the API server holds it.

    Unknown fields are ignored: after a rollback an older operator still reads newer objects.
    """

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        use_attribute_docstrings=True,
        frozen=True,
        extra="ignore",
        protected_namespaces=(),
    )


def manifest_of(model: BaseModel) -> dict[str, Any]:
    """Return the model as JSON for the API server: camelCase, nothing that is null."""
    return model.model_dump(mode="json", by_alias=True, exclude_none=True)


def rule(expression: str, message: str, field: str | None = None) -> Schema:
    """Return one CEL rule; `field` names the child that the message is about."""
    where: Schema = {"fieldPath": f".{field}"} if field else {}
    return {"rule": expression, "message": message, **where}


def rules(*each: Schema) -> Schema:
    """Return the schema extension that holds CEL rules."""
    return {"x-kubernetes-validations": list(each)}


def keyed_by(*keys: str) -> Schema:
    """Return the schema extension of a list whose items are told apart by these fields."""
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(keys)}


def _whole_seconds(moment: datetime) -> datetime:
    return moment.replace(microsecond=0)


UNIQUE: Schema = {"x-kubernetes-list-type": "set"}

Quantity = Annotated[int | str, WithJsonSchema({**INT_OR_STRING, "pattern": QUANTITY, "maxLength": 40})]
IntOrPercent = Annotated[int | str, WithJsonSchema({**INT_OR_STRING, "pattern": "^[0-9]{1,3}%?$", "maxLength": 4})]
Timestamp = Annotated[datetime, AfterValidator(_whole_seconds)]
ObjectName = Annotated[
    str,
    Field(min_length=1, max_length=253, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"),
]
"""Name of a Secret, a claim, a class: a DNS subdomain."""
Text = Annotated[str, Field(max_length=1024)]
LabelValue = Annotated[str, Field(max_length=63, pattern=r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$")]
Labels = Annotated[dict[str, LabelValue], Field(max_length=50)]


class SecretReference(ApiModel):
    """A Secret in the same namespace."""

    name: ObjectName
    """Name of the Secret."""
