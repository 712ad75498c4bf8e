"""A person's own account: password, log-ins, confirmation, picture."""

from dataclasses import replace
from io import BytesIO

import pytest
from PIL import Image

from gptagent.features.identity import service as identity
from gptagent.features.identity.model import AVATAR_MAX_BYTES, AVATAR_MAX_PIXELS, CurrentLogIn, Proof
from gptagent.features.identity.profile import square_picture
from gptagent.features.identity.service import ChangePassword, ProfileChanges
from gptagent.kernel.clock import utcnow
from gptagent.kernel.errors import Forbidden, Invalid, NotFound, TooLarge, Unauthenticated
from gptagent.kernel.files import LocalFiles
from gptagent.kernel.ids import new_id
from integration.test_second_factor import actions
from members import PASSWORD, bearer, cookie_of, set_password

NEW = ChangePassword(PASSWORD, "staple of a battery horse")


NOWHERE = CurrentLogIn()


@pytest.fixture
async def here(database, scope):
    """Alice's ticket as a request has it; she knows her password."""
    await set_password(database, scope)
    return replace(scope, request_id=f"req-{new_id().hex}", address="198.51.100.7")


async def email_of(database, scope):
    async with database.session(scope) as session:
        return (await identity.get_person(session, scope.actor.id)).email


async def session_of(database, cookie):
    async with database.installation() as session:
        return await identity.find_session(session, cookie)


async def change(database, here, command=NEW, current=NOWHERE):
    return await identity.change_password(
        database, here.actor.id, command, current=current, origin=here.origin
    )


async def test_a_new_password_ends_all_other_log_ins_and_renews_this_one(database, here):
    """AUTH-10"""
    mine, other = await cookie_of(database, here), await cookie_of(database, here)
    await bearer(database, database._vault, here)
    current = CurrentLogIn(session_id=(await session_of(database, mine)).id)
    renewed = await change(database, here, current=current)
    assert await session_of(database, other) is None
    assert await session_of(database, mine) is None, "the old cookie is dead"
    assert (await session_of(database, renewed.token)).id == current.session_id
    async with database.session(here) as session:
        (left,) = await identity.list_log_ins(session, current)
    assert left.is_current
    email = await email_of(database, here)
    assert await identity.verify_password(database, email, NEW.new) == here.actor.id
    with pytest.raises(Unauthenticated):
        await identity.verify_password(database, email, PASSWORD)
    (row,) = await actions(database, here, here.request_id)
    assert row["action"] == "password.changed" and '"password": null' in row["changes"]
    assert NEW.new not in row["changes"]


async def test_a_new_password_voids_what_was_begun_under_the_old_one(database, here):
    async with database.installation(here.actor.id) as session:
        token = await identity.begin_second_step(session, here.actor.id, remember=False, target="/")
    await change(database, here)
    async with database.installation() as session:
        assert await identity.find_pending(session, token) is None


@pytest.mark.parametrize(
    ("current", "new", "field"),
    [("wrong", NEW.new, "current_password"), (PASSWORD, "short", "new_password"),
     (PASSWORD, "qwerty123456", "new_password")],
)  # fmt: skip
async def test_a_refused_password_changes_nothing(current, new, field, database, here):
    cookie = await cookie_of(database, here)
    with pytest.raises(Invalid) as refused:
        await change(database, here, ChangePassword(current, new))
    assert [fault.pointer for fault in refused.value.fields] == [field]
    assert await session_of(database, cookie) is not None
    assert await identity.verify_password(database, await email_of(database, here), PASSWORD)


async def test_a_log_in_is_ended_by_its_person_only(database, here, other_scope):
    """AUTH-16"""
    cookie = await cookie_of(database, here)
    session_id = (await session_of(database, cookie)).id
    async with database.session(other_scope) as session:
        with pytest.raises(NotFound):
            await identity.revoke_session(session, session_id, origin=other_scope.origin)
    assert await session_of(database, cookie) is not None
    async with database.session(here) as session:
        await identity.revoke_session(session, session_id, origin=here.origin)
    assert await session_of(database, cookie) is None
    (row,) = await actions(database, here, here.request_id)
    assert (row["action"], row["target_id"]) == ("session.revoked", str(session_id))


async def test_everywhere_else_means_browsers_and_programs(database, here):
    kept = await session_of(database, await cookie_of(database, here))
    await cookie_of(database, here)
    await bearer(database, database._vault, here)
    current = CurrentLogIn(session_id=kept.id)
    async with database.session(here) as session:
        assert await identity.end_other_log_ins(session, here.actor.id, current, origin=here.origin) == 2
        assert [one.id for one in await identity.list_log_ins(session, current)] == [kept.id]


async def test_a_failed_log_in_is_recorded_for_a_known_account_and_for_no_other(database, here):
    origin = replace(here.origin, actor=here.actor)
    with pytest.raises(Unauthenticated):
        await identity.verify_password(database, await email_of(database, here), "wrong", origin=origin)
    with pytest.raises(Unauthenticated):
        await identity.verify_password(database, "nobody@example.test", "wrong", origin=origin)
    (row,) = await actions(database, here, here.request_id)
    assert (row["action"], row["target_id"]) == ("login.failed", str(here.actor.id))


async def test_a_grant_must_have_been_confirmed_lately(database, here):
    await bearer(database, database._vault, here)
    async with database.session(here) as session:
        (grant,) = await identity.list_log_ins(session, CurrentLogIn())
        await identity.require_confirmed_grant(session, grant.id, now=utcnow())
        await session.execute("update app.api_grant set confirmed_at = now() - interval '16 minutes'")
        with pytest.raises(Forbidden):
            await identity.require_confirmed_grant(session, grant.id, now=utcnow())
    current = CurrentLogIn(grant_id=grant.id)
    with pytest.raises(Invalid):
        await identity.confirm_person(database, here.actor.id, Proof("wrong"), current=current, now=utcnow())
    await identity.confirm_person(database, here.actor.id, Proof(PASSWORD), current=current, now=utcnow())
    async with database.session(here) as session:
        await identity.require_confirmed_grant(session, grant.id, now=utcnow())


@pytest.mark.parametrize(
    "changes",
    [
        ProfileChanges(" "),
        ProfileChanges("x" * 100),
        ProfileChanges("x", "y" * 100),
        ProfileChanges(locale="de"),
    ],
)
async def test_a_wrong_profile_is_refused(changes, database, here):
    async with database.session(here) as session:
        with pytest.raises(Invalid):
            await identity.update_profile(session, here.actor.id, changes)


def drawn(kind, size=(640, 400), **options):
    file = BytesIO()
    Image.new("RGB", size, "teal").save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_picture_becomes_a_square_without_what_else_was_in_the_file(kind):
    exif = Image.Exif()
    exif[0x010E] = "taken at 55.75, 37.61"
    square = square_picture(drawn(kind, exif=exif))
    with Image.open(BytesIO(square)) as image:
        assert (image.format, image.size) == ("WEBP", (256, 256))
        assert not image.getexif()
    assert b"55.75" not in square


BOMB = drawn("PNG", (10_000, AVATAR_MAX_PIXELS // 10_000 + 1))
NO_PICTURES = {
    "a text": b"GIF89a? no",
    "a script": b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
    "another kind": drawn("GIF"),
    "cut off": drawn("PNG")[:100],
    "nothing": b"",
    "too many pixels": BOMB,
}


@pytest.mark.parametrize("what", NO_PICTURES)
def test_what_is_no_picture_is_refused_by_its_content(what):
    with pytest.raises(Invalid) as refused:
        square_picture(NO_PICTURES[what])
    assert [fault.pointer for fault in refused.value.fields] == ["file"]


async def test_a_picture_replaces_the_one_before_and_can_be_removed(database, here, tmp_path):
    files = LocalFiles(tmp_path)
    for _twice in range(2):
        await identity.set_avatar(database, files, here.actor.id, drawn("PNG"))
        assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 1
    with pytest.raises(TooLarge):
        await identity.set_avatar(database, files, here.actor.id, b"x" * (AVATAR_MAX_BYTES + 1))
    await identity.remove_avatar(database, files, here.actor.id)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
