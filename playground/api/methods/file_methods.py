"""Photos and documents: uploading, sending again by id, albums, and downloading."""

import hashlib
import struct
from dataclasses import asdict

from playground.api.backend import BotApiBackend, bot_api_method
from playground.api.bot_api_wire import CallArguments, Json, Upload, as_argument, bad_request
from playground.api.message_text import read_caption
from playground.chats.chat_records import ChatRecord, FileRecord
from playground.chats.chat_world import PlaygroundState
from playground.chats.posting import post_bot_message, text_fields

DOWNLOAD_LIMIT = 20 * 1024 * 1024  # getFile
PHOTO_LIMIT = 10 * 1024 * 1024
PHOTO_SIDES_LIMIT = 10_000  # width and height together
PHOTO_RATIO_LIMIT = 20
WRONG_FILE = "wrong file_id or the file is temporarily unavailable"


def keep_file(world: PlaygroundState, upload: Upload, folder: str) -> FileRecord:
    """Store the file and return its record; equal content gets a new file id but the same unique id."""
    number = world.store.count_up("file")
    digest = hashlib.sha256(upload.content).hexdigest()
    suffix = upload.filename.rpartition(".")[2] if "." in upload.filename else "bin"
    record = FileRecord(
        file_id=f"BQAC{number:08d}{digest[:24]}",
        unique_id=f"AQAD{digest[:12]}",
        name=upload.filename,
        mime_type=upload.content_type,
        size=len(upload.content),
        path=f"{folder}/file_{number}.{suffix[:10]}",
    )
    world.files[record.file_id] = record
    world.store.put("file", record.file_id, asdict(record))
    world.store.put_file(record.file_id, upload.content)
    return record


def picture_size(content: bytes) -> tuple[int, int]:
    """Return width and height from the header of a PNG, JPEG or GIF; (0, 0) for anything else."""
    if content[:8] == b"\x89PNG\r\n\x1a\n" and len(content) >= 24:
        width, height = struct.unpack(">II", content[16:24])
        return width, height
    if content[:6] in {b"GIF87a", b"GIF89a"} and len(content) >= 10:
        width, height = struct.unpack("<HH", content[6:10])
        return width, height
    position = 2
    while content[:2] == b"\xff\xd8" and position + 9 < len(content) and content[position] == 0xFF:
        marker, size = content[position + 1], int.from_bytes(content[position + 2 : position + 4], "big")
        if 0xC0 <= marker <= 0xCF and marker not in {0xC4, 0xC8, 0xCC}:
            height, width = struct.unpack(">HH", content[position + 5 : position + 9])
            return width, height
        position += 2 + size
    return 0, 0


def photo_fields(world: PlaygroundState, upload: Upload) -> Json:
    """Store a picture and return the `photo` field."""
    width, height = picture_size(upload.content)
    if not width or not height:
        raise bad_request("IMAGE_PROCESS_FAILED")
    if len(upload.content) > PHOTO_LIMIT:
        raise bad_request("file is too big")
    if width + height > PHOTO_SIDES_LIMIT or max(width, height) > PHOTO_RATIO_LIMIT * min(width, height):
        raise bad_request("PHOTO_INVALID_DIMENSIONS")
    kind = "image/png" if upload.content.startswith(b"\x89PNG") else "image/jpeg"
    suffix = kind.rpartition("/")[2].replace("jpeg", "jpg")
    photo = Upload(filename=f"photo.{suffix}", content_type=kind, content=upload.content)
    return {"photo": [_photo_size(keep_file(world, photo, "photos"), width, height)]}


def _photo_size(file: FileRecord, width: int, height: int) -> Json:
    return {"file_id": file.file_id, "file_unique_id": file.unique_id, "file_size": file.size,
            "width": width, "height": height}  # fmt: skip


def document_fields(world: PlaygroundState, upload: Upload) -> Json:
    """Store a file and return the `document` field."""
    return _document(keep_file(world, upload, "documents"))


def _document(file: FileRecord) -> Json:
    return {"document": {"file_name": file.name, "mime_type": file.mime_type, "file_id": file.file_id,
                         "file_unique_id": file.unique_id, "file_size": file.size}}  # fmt: skip


def _medium(backend: BotApiBackend, kind: str, arguments: CallArguments, source: str) -> Json:
    """Return the photo or document that `source` names: an upload, or the id of a known file."""
    upload = arguments.uploads.get(source.removeprefix("attach://") or kind)
    if upload is not None:
        make = photo_fields if kind == "photo" else document_fields
        return make(backend.world, upload)
    if not source:
        raise bad_request(f"there is no {kind} in the request")
    known = backend.world.files.get(source)
    if known is not None and kind == "document":
        return _document(known)
    if known is not None:
        width, height = picture_size(backend.world.store.file(source) or b"")
        if not width:
            raise bad_request("IMAGE_PROCESS_FAILED")
        return {"photo": [_photo_size(known, width, height)]}
    if "://" in source:
        raise bad_request("failed to get HTTP URL content")
    raise bad_request("wrong remote file identifier specified: Wrong character in the string")


def _send(backend: BotApiBackend, kind: str, arguments: CallArguments) -> Json:
    chat = backend.writable_chat(arguments)
    text = read_caption(arguments)
    fields = _medium(backend, kind, arguments, arguments.text(kind))
    return post_bot_message(backend, chat, arguments, fields | text_fields(backend.world, text, caption=True)).body


@bot_api_method("sendPhoto")
async def send_photo(backend: BotApiBackend, arguments: CallArguments) -> Json:
    return _send(backend, "photo", arguments)


@bot_api_method("sendDocument")
async def send_document(backend: BotApiBackend, arguments: CallArguments) -> Json:
    return _send(backend, "document", arguments)


@bot_api_method("sendMediaGroup")
async def send_media_group(backend: BotApiBackend, arguments: CallArguments) -> list[Json]:
    chat = backend.writable_chat(arguments)
    media = arguments.objects("media", "InputMedia")
    if not 2 <= len(media) <= 10:
        raise bad_request("media group must include 2-10 items")
    if any(item.get("type") not in {"photo", "document"} for item in media):
        raise bad_request("type of media in the group is unsupported by this server")
    if len({item["type"] for item in media}) > 1:
        raise bad_request("documents can't be mixed with other media types")
    prepared = [_group_item(backend, chat, item, arguments) for item in media]
    album = str(backend.world.store.count_up("media group", 13_000_000_001))
    return [post_bot_message(backend, chat, arguments, fields | {"media_group_id": album}).body for fields in prepared]


def _group_item(backend: BotApiBackend, chat: ChatRecord, item: Json, arguments: CallArguments) -> Json:
    own = CallArguments({key: as_argument(value) for key, value in item.items()})
    text = read_caption(own)
    fields = _medium(backend, item["type"], arguments, str(item.get("media", "")))
    return fields | text_fields(backend.world, text, caption=True)


@bot_api_method("getFile")
async def get_file(backend: BotApiBackend, arguments: CallArguments) -> Json:
    file = backend.world.files.get(arguments.text("file_id"))
    if file is None:
        raise bad_request(WRONG_FILE)
    if file.size > DOWNLOAD_LIMIT:
        raise bad_request("file is too big")
    return {
        "file_id": file.file_id,
        "file_unique_id": file.unique_id,
        "file_size": file.size,
        "file_path": file.path,
    }
