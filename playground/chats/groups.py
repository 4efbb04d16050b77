"""Groups and supergroups that a test can change: members, topics, the bot's rights, migration."""

from playground.api.backend import BotApiBackend
from playground.api.bot_api_wire import Json
from playground.chats.chat_people import PlaygroundPerson, announce_bot_status
from playground.chats.chat_records import ChatRecord, TopicRecord
from playground.chats.posting import post_message
from playground.chats.shown_chats import ShownChat


class Group(ShownChat):
    """A group chat."""

    def __init__(self, backend: BotApiBackend, chat_id: int) -> None:
        super().__init__(backend, chat_id)

    def _service(self, chat: ChatRecord, by: PlaygroundPerson, fields: Json, thread_id: int = 0) -> int:
        record = post_message(self._backend.world, chat, by.record, fields, thread_id=thread_id)
        self._backend.updates.add("message", record.body)
        self._backend.world.commit()
        return record.message_id

    async def add(self, person: PlaygroundPerson) -> None:
        """Add a person; the bot gets the service message."""
        chat = self.record
        if person.id not in chat.members:
            chat.members.append(person.id)
            self._backend.world.save_chat(chat)
            self._service(chat, person, {"new_chat_members": [person.record.wire()]})

    async def remove(self, person: PlaygroundPerson) -> None:
        chat = self.record
        chat.members.remove(person.id)
        self._backend.world.save_chat(chat)
        self._service(chat, person, {"left_chat_member": person.record.wire()})

    async def set_bot_status(self, status: str, by: PlaygroundPerson) -> None:
        """Make the bot "member", "administrator", "left" or "kicked"."""
        chat = self.record
        old, chat.bot_status = chat.bot_status, status
        self._backend.world.save_chat(chat)
        announce_bot_status(self._backend, chat, by.record, old, status)

    async def open_topic(self, name: str, by: PlaygroundPerson) -> int:
        """Open a topic as a person and return its thread id."""
        chat = self.record
        if not chat.is_forum:
            raise ValueError(f"group {chat.id} is no forum; make it with is_forum=True")
        record = post_message(
            self._backend.world, chat, by.record, {"forum_topic_created": {"name": name, "icon_color": 7322096}}
        )
        record.body |= {"message_thread_id": record.message_id, "is_topic_message": True}
        chat.topics[str(record.message_id)] = TopicRecord(thread_id=record.message_id, name=name)
        self._backend.world.save_message(record)
        self._backend.world.save_chat(chat)
        self._backend.updates.add("message", record.body)
        self._backend.world.commit()
        return record.message_id

    async def delete_topic(self, thread_id: int) -> None:
        """Delete a topic as a person does: the bot gets no update, and its next message there is refused."""
        chat = self.record
        del chat.topics[str(thread_id)]
        self._backend.world.save_chat(chat)
        self._backend.world.commit()

    async def migrate(self, new_chat_id: int, by: PlaygroundPerson) -> "Group":
        """Upgrade the group to a supergroup: both service messages are posted, the old id is refused from now on."""
        old = self.record
        new = ChatRecord(
            id=new_chat_id,
            type="supergroup",
            title=old.title,
            members=list(old.members),
            administrators=list(old.administrators),
            bot_status=old.bot_status,
        )
        self._backend.world.save_chat(new)
        self._service(old, by, {"migrate_to_chat_id": new_chat_id})
        old.migrated_to = new_chat_id
        self._backend.world.save_chat(old)
        self._service(new, by, {"migrate_from_chat_id": old.id})
        return Group(self._backend, new_chat_id)
