"""spec.serving: the server in front of the engine."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from embedplane_operator.api.base import ApiModel, IntOrPercent, SecretReference, rule, rules

ROUTE = r"^(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+$"
TAKEN_ROUTE = (
    "^(/v[0-9])*(/api/(embed|tags|version)|/decode|/embed(_all|_sparse)?|/health(/live|/ready)?|/info|/metrics"
    "|/models(/.*)?|/openapi[.]json|/predict|/rerank|/similarity|/tokenize)$"
)
"""What servers answer besides OpenAI's embeddings, under whichever version."""


class Rollout(ApiModel):
    """How replicas are exchanged when the server changes but not the vector space."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "!((self.maxSurge == 0 || self.maxSurge == '0' || self.maxSurge == '0%') && "
                "(self.maxUnavailable == 0 || self.maxUnavailable == '0' || self.maxUnavailable == '0%'))",
                "maxSurge and maxUnavailable cannot both be 0: set maxUnavailable to 1 where no spare node exists",
                field="maxUnavailable",
            )
        )
    )
    max_surge: IntOrPercent = 1
    """Replicas above the wanted number during a rollout: a number or a percentage. Default: 1."""
    max_unavailable: IntOrPercent = 0
    """Replicas below the wanted number during a rollout: a number or a percentage. Default: 0. Set it to 1, and
    maxSurge to 0, where no spare accelerator exists."""


class Serving(ApiModel):
    """The server in front of the engine."""

    default_route: str = Field(
        "/v1/embeddings",
        min_length=1,
        max_length=200,
        json_schema_extra=rules(
            rule(
                f"self.matches('{ROUTE}')",
                "defaultRoute is a path such as /search/v1/embeddings: it starts with /, ends without one, and holds "
                "letters, digits and -._~ only",
            ),
            rule(
                f"!self.matches('{TAKEN_ROUTE}')",
                "defaultRoute is another route of the server, as it stands or without its /v1; choose another path, or "
                "leave it at /v1/embeddings",
            ),
        ),
    )
    """Path at which OpenAI's embeddings are answered as well, and again without its /v1; /v1/embeddings and /embeddings
    always are. At most 200 characters. Default: /v1/embeddings."""
    api_keys_secret_ref: SecretReference | None = None
    """Secret whose values are API keys, one a line, in as many keys of the Secret as you like; all of them are valid,
    and a change counts without a restart. Health and metrics need none. Default: anybody may ask."""
    long_input: Literal["Reject", "Truncate"] = "Reject"
    """What becomes of a text longer than the model's window when the request does not say: Reject answers with 400,
    Truncate cuts it. Default: Reject."""
    token_encoding: Literal["model", "cl100k_base"] = "model"  # noqa: S105 -- whose token ids are meant, no secret
    """Whose token ids are meant when a request sends ids and does not say: the model's own, or those of OpenAI's
    cl100k_base, which LangChain sends by default and servers turn back into text. Default: model."""
    max_queued_tokens: Annotated[int, Field(ge=1, le=1_000_000_000)] | None = None
    """Tokens that may wait in one replica; requests beyond get 429. At least 1. Default: 600000, or 10 s of the
    benchmark if that is more."""
    max_request_seconds: int = Field(300, ge=1, le=3600)
    """Longest time a request may take, waiting included; 1 to 3600. Default: 300. It is part of the grace period."""
    max_connection_seconds: int = Field(60, ge=1, le=86400)
    """Age at which a connection is closed after its current answer, so that clients find new replicas; 1 to 86400.
    Default: 60."""
    drain_delay_seconds: int = Field(10, ge=0, le=600)
    """Seconds in which a replica that was told to end goes on accepting requests; 0 to 600. Default: 10."""
    rollout: Rollout = Rollout()
    """How replicas are exchanged."""
