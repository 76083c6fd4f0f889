"""The door of the daemon: what travels (`wire`), who asks (`client`), who answers (`server`)."""
