"""Names of tensors that only some graphs have, beside `input_ids` and `attention_mask`."""

TYPE_IDS = "token_type_ids"
"""An input that only graphs of models with several types of tokens have."""
POOLING_MASK = "pooling_mask"
"""An input that only graphs of models whose pooling leaves prompts out have: the tokens that are pooled."""
TOKEN_VECTORS = "token_embeddings"  # noqa: S105 -- the name of a tensor, no secret
"""The second output of graphs of models that embed."""
