"""The operations of the product: the one way to change the system. REST, CLI and dashboard translate and render."""
