"""What a sentence-transformers folder says, and the identity of its vector space."""
