"""The chats of the playground: people, messages, groups."""
