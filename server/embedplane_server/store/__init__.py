"""The artifact store: content-addressed entries, each complete once its manifest exists."""
