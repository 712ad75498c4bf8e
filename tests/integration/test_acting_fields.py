"""What an agent writes into fields of the CRM after its answers, by rules."""

import pytest

from gptagent.features.crm.actions.reverting import Reverting, revert_change
from integration.acting_desk import Desk, rule, write
from scenes import Scene


@pytest.fixture
async def desk(world, model, control):
    return await Desk(await Scene.open(world), control, model).open()


async def test_a_rule_writes_a_value_that_fits_once_and_a_person_takes_it_back(desk):
    """AGT-24"""
    choice, number = desk.field("leads", "select"), desk.field("leads", "numeric")
    option = choice.enums[0].value
    rules = [
        rule("price", "When the customer names a budget"),
        rule(f"cf_{number.id}"),
        rule(f"cf_{choice.id}"),
    ]
    await desk.scene.set_agent(update_rules={"lead": rules, "contact": []})
    desk.calls(write(1, "120 000"), write(2, "7.5"), write(3, option.upper()))
    await desk.says("My budget is 120 000, I need 7.5 metres. How much does delivery to the city cost?")
    assert await desk.scene.sent() == ["Delivery to the city costs 490 roubles."]
    system, talk = desk.prompt()
    assert "When the customer names a budget</rule>" in system["content"]
    assert 'latest="true">My budget is 120 000' in talk["content"]
    values = await desk.values()
    assert values["price"].value == 120_000
    assert values[f"field:{number.id}"].field.text == "7.5"
    assert values[f"field:{choice.id}"].field.text == option
    changes = await desk.changes()
    assert {one.key for one in changes} == {"price", f"field:{number.id}", f"field:{choice.id}"}
    turn_id = (await desk.scene.turns())[0]["id"]
    assert {(one.actor_kind, one.evidence.turn_id) for one in changes} == {("system", turn_id)}
    price = next(one for one in changes if one.key == "price")
    assert (price.before.value or 0, price.after.value) == (0, 120_000)
    assert len(await desk.rows("select id from app.crm_action")) == 1
    door = Reverting(desk.world.db, desk.scene.crm, desk.world.vault)
    await revert_change(door, desk.world.scope, desk.id, price.id, force=False)
    await desk.perform()
    assert not (await desk.values())["price"].value


async def test_a_value_that_is_there_stays_unless_the_rule_overwrites(desk):
    """AGT-25, U095: also if the mirror does not know yet that it is there"""
    number = desk.field("leads", "numeric")
    first, second = f"cf_{number.id}", "price"
    await desk.scene.set_agent(update_rules={"lead": [rule(first), rule(second)]})
    desk.calls(write(1, "7"), write(2, "100"))
    await desk.says()
    assert (await desk.values())["price"].value == 100
    await desk.scene.set_agent(update_rules={"lead": [rule(first), rule(second, overwrite=True)]})
    desk.calls(write(1, "9"), write(2, "200"))
    await desk.says("And now?")
    values = await desk.values()
    assert (values[f"field:{number.id}"].field.text, values["price"].value) == ("7", 200)


async def test_rules_count_in_their_order_and_what_does_not_fit_is_not_written(desk):
    """AGT-26, U096"""
    choice, date, flag = (desk.field("leads", kind) for kind in ("select", "date", "checkbox"))
    lead = [
        rule("price", "first"),
        rule("price", "second"),
        rule(f"cf_{choice.id}", "third"),
        rule(f"cf_{date.id}", "fourth"),
        rule(f"cf_{flag.id}", "fifth"),
        rule("price", "sixth", overwrite=True),
    ]
    phone = desk.field("contacts", "multitext")
    await desk.scene.set_agent(
        update_rules={"lead": lead[:5], "contact": [rule(f"cf_{phone.id}", overwrite=True)]}
    )
    desk.calls(
        write(2, "222"),
        write(1, "111"),
        write(3, "No such choice"),
        write(4, "soon"),
        write(5, "да"),
        write(6, "call me"),
        write(7, "1"),
        write(1, "333"),
    )
    await desk.says()
    values = await desk.values()
    assert values["price"].value == 111
    assert f"field:{choice.id}" not in values
    assert f"field:{date.id}" not in values
    assert values[f"field:{flag.id}"].field.values
    unfit = ("write_field", "value_unfit")
    taken = ("write_field", "taken")
    assert await desk.verdicts() == [
        *(taken, taken, unfit, unfit, taken, unfit),
        ("write_field", "argument_invalid"),
        ("write_field", "repeated"),
    ]
    told = desk.prompt()[0]["content"]
    assert f'values="{"; ".join(one.value for one in choice.enums)}"' in told
    assert told.index("first</rule>") < told.index("second</rule>") < told.index("fifth</rule>")
    await desk.scene.set_agent(update_rules={"lead": [lead[5], lead[0]], "contact": []})
    desk.calls(write(1, "444"))
    await desk.says("And now?")
    assert (await desk.values())["price"].value == 444


async def test_a_mark_of_personal_data_that_a_model_made_up_is_written_nowhere(desk):
    """MSG-13: where a value was hidden its mark becomes it again; one that hides nothing would stay."""
    named = rule("name", overwrite=True)
    await desk.scene.set_agent(update_rules={"lead": [named]}, actions={"create_task": "alone"})
    task = {"text": "Call [PHONE_3]", "due_in_hours": 1, "reason": "", "confidence": 1}
    desk.calls(write(1, "INN_2"), ("create_task", task))
    await desk.says()
    assert await desk.verdicts() == [
        ("write_field", "argument_invalid"),
        ("create_task", "argument_invalid"),
    ]
    assert await desk.rows("select id from app.crm_action") == []
    desk.calls(write(1, "CARD_10"))
    await desk.says("My promo code is CARD_10. How much does delivery to the city cost?")
    assert await desk.verdicts() == [("write_field", "taken")]
