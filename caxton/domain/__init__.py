"""Values, identifiers, state machines, errors and ports: what every room shares and nothing else imports into."""
