"""Everything a Bot API method works with: chats, the update queue, and the state of the connection."""

from collections.abc import Awaitable, Callable

from playground.api.bot_api_wire import ApiError, CallArguments, Json, bad_request, forbidden
from playground.api.drafts import ChatActivity
from playground.api.update_queue import UpdateQueue
from playground.api.webhook_delivery import WebhookDelivery
from playground.chats.chat_records import ChatRecord, MessageRecord, UserRecord
from playground.chats.chat_world import PlaygroundState

BotApiMethod = Callable[["BotApiBackend", CallArguments], Awaitable[object]]
BOT_API_METHODS: dict[str, BotApiMethod] = {}
BOT_BLOCKED = "bot was blocked by the user"
LISTENING_S = 5.0  # between two polls a bot handles what it got
GROUP_UPGRADED = "group chat was upgraded to a supergroup chat"


def bot_api_method(name: str) -> Callable[[BotApiMethod], BotApiMethod]:
    """Register a coroutine as the Bot API method `name`; names are case-insensitive."""

    def register(function: BotApiMethod) -> BotApiMethod:
        BOT_API_METHODS[name.lower()] = function
        return function

    return register


class BotApiBackend:
    """One bot account on the server, with everything its methods need."""

    def __init__(
        self, world: PlaygroundState, updates: UpdateQueue, webhook: WebhookDelivery, ephemera: ChatActivity
    ) -> None:
        self.world = world
        self.updates = updates
        self.webhook = webhook
        self.ephemera = ephemera
        self.started_at = world.clock.now()
        self.logged_out_until = 0.0
        self.last_call_at = 0.0

    @property
    def bot(self) -> UserRecord:
        return self.world.bot

    @property
    def is_listening(self) -> bool:
        """True while a bot is there: it polls, has a webhook, or called lately."""
        recent = self.world.clock.now() - self.last_call_at < LISTENING_S
        return self.updates.is_polled or bool(self.webhook.url) or recent

    def known_chat(self, arguments: CallArguments, name: str = "chat_id") -> ChatRecord:
        """Return the chat named by an argument, even if the bot may not write there."""
        raw = arguments.text(name)
        if not raw:
            raise bad_request(f"{name} is empty")
        chat = self.world.chats.get(arguments.integer(name))
        if chat is None:
            raise bad_request("chat not found")
        if chat.migrated_to:
            raise bad_request(GROUP_UPGRADED, {"migrate_to_chat_id": chat.migrated_to})
        return chat

    def writable_chat(self, arguments: CallArguments) -> ChatRecord:
        """Return the chat to write to; refuse as the real server does when the bot may not write there."""
        chat = self.known_chat(arguments)
        if chat.is_private:
            user = self.world.users[chat.id]
            if user.is_deactivated:
                raise forbidden("user is deactivated")
            if user.has_blocked:
                raise forbidden(BOT_BLOCKED)
            if not user.has_started:
                raise forbidden("bot can't initiate conversation with a user")
        elif chat.bot_status in {"left", "kicked"}:
            kind = "group" if chat.type == "group" else "supergroup"
            verb = "was kicked from" if chat.bot_status == "kicked" else "is not a member of"
            raise forbidden(f"bot {verb} the {kind} chat")
        return chat

    def thread(self, chat: ChatRecord, arguments: CallArguments) -> int:
        """Return the topic that the message goes to, 0 for none."""
        thread_id = arguments.integer("message_thread_id")
        if not thread_id or (chat.is_forum and thread_id == 1):
            return 0
        topic = chat.topics.get(str(thread_id))
        if topic is None:
            raise bad_request("message thread not found")
        if topic.is_closed and chat.bot_status != "administrator":
            raise bad_request("TOPIC_CLOSED")
        return thread_id

    def own_message(self, arguments: CallArguments) -> MessageRecord:
        """Return the message to edit; refuse one that is not the bot's own."""
        chat = self.writable_chat(arguments)
        record = self.world.message(chat.id, arguments.integer("message_id"))
        if record is None:
            raise bad_request("message to edit not found")
        if not record.from_bot:
            raise bad_request("message can't be edited")
        return record

    def require_right(self, chat: ChatRecord, refusal: str) -> None:
        """Refuse in a group where the bot is not an administrator."""
        if not chat.is_private and chat.bot_status != "administrator":
            raise bad_request(refusal)

    async def call(self, name: str, arguments: CallArguments) -> object:
        """Carry out one method and make it durable; raises ApiError."""
        function = BOT_API_METHODS.get(name.lower())
        self.last_call_at = self.world.clock.now()
        if function is None:
            raise ApiError(404, "Not Found: method not found")
        if self.world.clock.now() < self.logged_out_until:
            raise bad_request("Logged out")
        try:
            return await function(self, arguments)
        finally:
            self.world.commit()


def chat_member(world: PlaygroundState, chat: ChatRecord, user: UserRecord) -> Json:
    """Return the ChatMember object of a person or of the bot."""
    status = "left"
    if user.id == world.bot.id:
        status = chat.bot_status
    elif user.id in chat.administrators:
        status = "administrator"
    elif user.id in chat.members:
        status = "member"
    wire: Json = {"user": user.wire(), "status": status}
    if status == "administrator":
        wire |= {"can_be_edited": False, "is_anonymous": False, **dict.fromkeys(_RIGHTS, True)}
    if status == "kicked":
        wire["until_date"] = 0
    return wire


_RIGHTS = (
    "can_manage_chat", "can_delete_messages", "can_manage_video_chats", "can_restrict_members", "can_promote_members",
    "can_change_info", "can_invite_users", "can_post_stories", "can_edit_stories", "can_delete_stories",
    "can_pin_messages", "can_manage_topics",
)  # fmt: skip
