"""From the settings and a model's description to the `Policy` by which it is served."""

from embedplane_server.cl100k import NAME as CL100K
from embedplane_server.cl100k import PACKAGE, find_cl100k
from embedplane_server.errors import invalid_settings
from embedplane_server.matryoshka import Matryoshka
from embedplane_server.model import ModelDescription
from embedplane_server.options import Policy
from embedplane_server.prompts import Prompts
from embedplane_server.settings import ServeSettings


def serving_policy(settings: ServeSettings, description: ModelDescription) -> Policy:
    """Return the policy; settings that do not suit the model are refused."""
    cl100k = find_cl100k()
    if settings.token_encoding == CL100K and cl100k is None:
        raise invalid_settings(
            f"EMBEDPLANE_TOKEN_ENCODING (spec.serving.tokenEncoding) is {CL100K}, whose table is in the package "
            f"{PACKAGE}, which this image lacks. Use an image that has it, or the encoding model."
        )
    return Policy(
        prompts=Prompts(description.prompts, description.default_prompt),
        matryoshka=_matryoshka(settings, description),
        pools_prompts=description.pools_prompts,
        truncate=settings.long_input == "Truncate",
        token_encoding=settings.token_encoding,
        decoders={CL100K: cl100k} if cl100k else {},
    )


def _matryoshka(settings: ServeSettings, description: ModelDescription) -> Matryoshka:
    offered = settings.dimensions
    if description.task == "classification" and (offered.default or offered.allowed):
        raise invalid_settings("EMBEDPLANE_DIMENSIONS is for models that embed, and this one classifies. Remove it.")
    try:
        return Matryoshka(
            description.vector_space,
            description.dimensions,
            normalized=description.normalized,
            default=offered.default,
            allowed=offered.allowed,
        )
    except ValueError as error:
        raise invalid_settings(f"EMBEDPLANE_DIMENSIONS: {error}. Offer that many or fewer.") from error
