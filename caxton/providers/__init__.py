"""Language-model providers, one file a kind, behind `domain.ports.provider`."""
