"""Records of the playground: people, chats, messages, taps; each knows its stored form."""

from dataclasses import asdict, dataclass, field

from playground.api.bot_api_wire import Json

ANONYMOUS_ADMIN_ID = 1087968824  # GroupAnonymousBot, the sender of every anonymous administrator


@dataclass(kw_only=True)
class UserRecord:
    """An account; `note` is shown after the name in the page's list of people."""

    id: int
    first_name: str
    username: str | None = None
    language_code: str = "en"
    is_bot: bool = False
    note: str = ""
    has_started: bool = True
    has_blocked: bool = False
    is_deactivated: bool = False

    def wire(self) -> Json:
        wire: Json = {"id": self.id, "is_bot": self.is_bot, "first_name": self.first_name}
        if self.username:
            wire["username"] = self.username
        if not self.is_bot:
            wire["language_code"] = self.language_code
        return wire


@dataclass(kw_only=True)
class TopicRecord:
    """A forum topic; its id is the id of the service message that opened it."""

    thread_id: int
    name: str
    icon_color: int = 7322096
    is_closed: bool = False

    def wire(self) -> Json:
        return {"message_thread_id": self.thread_id, "name": self.name, "icon_color": self.icon_color}


@dataclass(kw_only=True)
class ChatRecord:
    """A chat as the server sees it; in a private chat `id` is the person's id."""

    id: int
    type: str
    title: str = ""
    is_forum: bool = False
    members: list[int] = field(default_factory=list)
    administrators: list[int] = field(default_factory=list)
    bot_status: str = "member"
    topics: dict[str, TopicRecord] = field(default_factory=dict)
    pinned: list[int] = field(default_factory=list)
    migrated_to: int = 0

    @property
    def is_private(self) -> bool:
        return self.type == "private"

    @property
    def id_space(self) -> str:
        """Name of the counter of message ids: a supergroup has its own, all other chats share the account's."""
        return f"messages of {self.id}" if self.type in {"supergroup", "channel"} else "messages of the account"

    def stored(self) -> Json:
        return asdict(self)


def chat_from_store(stored: Json) -> ChatRecord:
    topics = {key: TopicRecord(**topic) for key, topic in stored.pop("topics").items()}
    return ChatRecord(**stored, topics=topics)


@dataclass(frozen=True, kw_only=True)
class MessageVersion:
    """A state in which a message was shown; `at` is the monotonic clock."""

    text: str
    entities: list[Json] = field(default_factory=list)
    buttons: list[list[Json]] = field(default_factory=list)
    at: float = 0.0


@dataclass(kw_only=True)
class MessageRecord:
    """A message: its Bot API object and the facts that only the chat knows."""

    chat_id: int
    message_id: int
    body: Json
    from_bot: bool
    silent: bool = False
    deleted: bool = False
    force_reply: Json | None = None
    versions: list[MessageVersion] = field(default_factory=list)
    reactions: dict[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        return str(self.body.get("text", self.body.get("caption", "")))

    @property
    def entities(self) -> list[Json]:
        entities: list[Json] = self.body.get("entities") or self.body.get("caption_entities") or []
        return entities

    @property
    def keyboard(self) -> list[list[Json]]:
        rows: list[list[Json]] = self.body.get("reply_markup", {}).get("inline_keyboard", [])
        return rows

    def stored(self) -> Json:
        return asdict(self)


def message_from_store(stored: Json) -> MessageRecord:
    versions = [MessageVersion(**version) for version in stored.pop("versions")]
    return MessageRecord(**stored, versions=versions)


@dataclass(kw_only=True)
class TapRecord:
    """A tap on an inline button and the answer it got; `answer` is None until then."""

    id: str
    user_id: int
    chat_id: int
    message_id: int
    data: str
    tapped_at: float
    update_id: int = 0
    answer: Json | None = None


@dataclass(kw_only=True)
class FileRecord:
    """An uploaded file; the content lies in the store under `file_id`."""

    file_id: str
    unique_id: str
    name: str
    mime_type: str
    size: int
    path: str
