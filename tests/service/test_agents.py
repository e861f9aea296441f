import asyncio

import pytest

from caxton.domain.errors import CaxtonError, Code, ConfigurationError
from caxton.service.api.agents import DefinitionText
from caxton.service.api.conversations import ConversationList

SINGER = DefinitionText(toml='name = "singer"\nsystem_prompt = "You sing."\ndescription = "Sings"\n')
WRONG = DefinitionText(toml='name = "singer"\nsystem_prompt = ""\nverson = 1\n')


async def told(awaitable):
    """The CaxtonError that it ends with."""
    with pytest.raises(CaxtonError) as caught:
        await awaitable
    return caught.value


class TestList:
    async def test_agents_come_by_name_with_what_matters_of_them(self, running):
        await running.agents.create(body=SINGER)
        listed = await running.agents.list()
        assert [agent.name for agent in listed.agents] == ["helper", "singer"]
        helper, singer = listed.agents
        assert (singer.state, singer.provider, singer.description) == ("running", "echo", "Sings")
        assert (helper.last_activity, helper.last_error, helper.last_reload) == (None, None, "applied")

    async def test_what_an_agent_did_and_what_went_wrong_is_told(self, running):
        await running.ask("Hello")
        assert (await running.agents.list()).agents[0].last_activity == running.clock.now()
        await told(running.ask("crash"))
        assert "ZeroDivisionError" in (await running.agents.list()).agents[0].last_error

    async def test_files_that_define_no_agent_are_listed_beside_those_that_do(self, running):
        broken = running.directory / "broken.toml"
        broken.write_text('name = "broken\n')
        await running.definitions.follow(broken)
        listed = await running.agents.list()
        assert [agent.name for agent in listed.agents] == ["helper"]
        assert [rejected.file for rejected in listed.rejected] == [str(broken)]


class TestCreate:
    async def test_from_a_body(self, running):
        view = await running.agents.create(body=SINGER)
        assert (view.name, view.state, view.definition.system_prompt) == ("singer", "running", "You sing.")
        assert view.file == str(running.directory / "singer.toml")
        assert (await running.ask("Hello", to="singer")).text == "echo: Hello"

    async def test_from_a_template(self, running):
        view = await running.agents.create(template="assistant", name="my-own")
        assert view.name == "my-own"
        assert (await running.ask("Hello", to="my-own")).text == "echo: Hello"

    @pytest.mark.parametrize(
        "arguments",
        [
            {},
            {"template": "assistant"},
            {"name": "my-own"},
            {"body": SINGER, "name": "singer"},
            {"body": SINGER, "template": "assistant", "name": "my-own"},
        ],
    )
    async def test_either_a_body_or_template_and_name(self, running, arguments):
        assert (await told(running.agents.create(**arguments))).code is Code.BODY_INVALID

    async def test_a_template_that_there_is_not_is_answered_with_the_nearest(self, running):
        error = await told(running.agents.create(template="asistant", name="my-own"))
        assert error.code is Code.TEMPLATE_NOT_FOUND
        assert "'assistant'" in error.hint

    async def test_a_template_under_an_impossible_name_is_refused_with_its_place(self, running):
        error = await told(running.agents.create(template="assistant", name="My Own"))
        assert isinstance(error, ConfigurationError)
        assert error.diagnostics[0].line
        assert "my-own" in error.hint

    async def test_one_that_exists_is_not_touched(self, running):
        await running.agents.create(body=SINGER)
        error = await told(running.agents.create(body=SINGER))
        assert error.code is Code.AGENT_EXISTS
        assert "singer.toml" in error.message

    async def test_what_is_wrong_is_told_whole_and_nothing_is_made(self, running):
        error = await told(running.agents.create(body=WRONG))
        assert [diagnostic.line for diagnostic in error.diagnostics] == [2, 3]
        assert [agent.name for agent in (await running.agents.list()).agents] == ["helper"]


class TestValidate:
    async def test_a_right_text_is_valid_with_its_warnings(self, running):
        report = await running.agents.validate(body=DefinitionText(toml=SINGER.toml + 'resources.memory = "1GB"\n'))
        assert report.valid
        assert [(problem.severity, problem.line) for problem in report.diagnostics] == [("warning", 4)]

    async def test_a_wrong_text_is_told_every_problem_and_makes_nothing(self, running):
        report = await running.agents.validate(body=WRONG)
        assert not report.valid
        assert [problem.line for problem in report.diagnostics] == [2, 3]
        assert not (running.directory / "singer.toml").exists()


class TestShowAndReplace:
    async def test_all_there_is_to_know(self, running):
        await running.ask("Hello")
        view = await running.agents.show(name="helper")
        assert view.activity.turns == 1
        assert view.file.endswith("helper.toml")
        assert view.last_reload.outcome == "applied"
        assert view.created_at == running.clock.now()

    async def test_an_unknown_agent_is_answered_with_the_nearest(self, running):
        commands = (
            running.agents.show,
            running.agents.start,
            running.agents.stop,
            running.agents.restart,
            running.agents.reload,
            running.agents.events,
            running.agents.reset,
            running.agents.delete,
        )
        for command in commands:
            error = await told(command(name="helpr"))
            assert error.code is Code.AGENT_NOT_FOUND, command
            assert "'helper'" in error.hint

    async def test_a_replaced_definition_keeps_id_and_conversation(self, running):
        before = await running.agents.show(name="helper")
        first = await running.ask("Hello")
        body = DefinitionText(toml='name = "helper"\nsystem_prompt = "You sing."\n')
        after = await running.agents.replace(name="helper", body=body)
        assert after.id == before.id
        assert after.definition.system_prompt == "You sing."
        second = await running.ask("Again")
        sent = [message.content for message in running.traces.find(second.in_reply_to).prompt]
        assert sent == ["You sing.", "Hello", first.text, "Again"]

    async def test_replacing_what_is_not_there_makes_it(self, running):
        assert (await running.agents.replace(name="singer", body=SINGER)).state == "running"

    async def test_replacing_under_another_name_is_refused(self, running):
        error = await told(running.agents.replace(name="helper", body=SINGER))
        assert error.code is Code.BODY_INVALID

    async def test_replacing_by_something_wrong_changes_nothing(self, running):
        error = await told(running.agents.replace(name="helper", body=WRONG))
        assert error.code is Code.CONFIGURATION_INVALID
        assert (await running.agents.show(name="helper")).definition.system_prompt == "You help."


class TestOperate:
    async def test_a_stopped_agent_refuses_and_a_started_one_answers_again(self, running):
        assert (await running.agents.stop(name="helper")).state == "stopped"
        assert (await told(running.ask("Hello"))).code is Code.AGENT_NOT_RUNNING
        assert (await running.agents.start(name="helper")).state == "running"
        assert (await running.ask("Hello")).text == "echo: Hello"

    async def test_stopping_and_starting_twice_changes_nothing(self, running):
        assert (await running.agents.start(name="helper")).state == "running"
        await running.agents.stop(name="helper")
        assert (await running.agents.stop(name="helper")).state == "stopped"

    async def test_a_stopped_agent_stays_stopped_over_a_restart_and_an_edit(self, house):
        house.file()
        async with house.opened():
            await house.agents.stop(name="helper")
        async with house.opened():
            assert (await house.agents.show(name="helper")).state == "stopped"
            await house.definitions.follow(house.file(prompt="You sing."))
            view = await house.agents.show(name="helper")
            assert (view.state, view.definition.system_prompt) == ("stopped", "You sing.")

    async def test_a_restart_starts_a_stopped_agent_too(self, running):
        await running.agents.stop(name="helper")
        assert (await running.agents.restart(name="helper")).state == "running"

    async def test_a_restart_lets_the_turn_end_first(self, running):
        asking = asyncio.create_task(running.ask("hold on"))
        await running.model.held.wait()
        restarting = asyncio.create_task(running.agents.restart(name="helper"))
        while running.supervisor.get("helper").state != "draining":
            await asyncio.sleep(0)
        running.model.let_go.set()
        assert (await asking).text == "echo: hold on"
        assert (await restarting).state == "running"

    async def test_an_agent_that_crashes_while_it_is_stopped_stays_so(self, running):
        asking = asyncio.create_task(running.ask("hold on, then crash"))
        await running.model.held.wait()
        stopping = asyncio.create_task(running.agents.stop(name="helper"))
        while running.supervisor.get("helper").state != "draining":
            await asyncio.sleep(0)
        running.model.let_go.set()
        assert (await told(asking)).code is Code.TURN_CRASHED
        assert (await stopping).state == "stopped"
        await running.clock.advance(60)
        assert (await running.agents.show(name="helper")).state == "stopped"
        assert (await told(running.ask("Hello"))).code is Code.AGENT_NOT_RUNNING

    async def test_a_crashed_agent_is_started_at_once_by_command(self, running):
        await told(running.ask("crash"))
        assert (await running.agents.show(name="helper")).state == "failed"
        assert (await running.agents.start(name="helper")).state == "running"

    async def test_a_command_that_waits_while_the_agent_goes_says_that_it_is_gone(self, running):
        asking = asyncio.create_task(running.ask("hold on"))
        await running.model.held.wait()
        deleting = asyncio.create_task(running.agents.delete(name="helper"))
        while running.supervisor.get("helper").state != "draining":
            await asyncio.sleep(0)
        commands = (running.agents.start, running.agents.stop, running.agents.restart)
        waiting = [asyncio.create_task(command(name="helper")) for command in commands]
        running.model.let_go.set()
        assert (await asking).text == "echo: hold on"
        assert (await deleting).name == "helper"
        errors = await asyncio.gather(*waiting, return_exceptions=True)
        assert [getattr(error, "code", error) for error in errors] == [Code.AGENT_NOT_FOUND] * 3

    async def test_reload_reads_the_file_now(self, running):
        running.file(prompt="You sing.")
        assert (await running.agents.reload(name="helper")).definition.system_prompt == "You sing."

    async def test_reload_of_a_wrong_file_tells_why_and_keeps_the_agent(self, running):
        (running.directory / "helper.toml").write_text(WRONG.toml)
        error = await told(running.agents.reload(name="helper"))
        assert isinstance(error, ConfigurationError)
        view = await running.agents.show(name="helper")
        assert (view.state, view.last_reload.outcome) == ("running", "rejected")

    async def test_reload_of_a_file_that_is_gone_says_so(self, running):
        (running.directory / "helper.toml").unlink()
        error = await told(running.agents.reload(name="helper"))
        assert "No such file" in error.message
        assert (await running.agents.show(name="helper")).state == "running"

    async def test_events_are_the_changes_of_state_newest_first(self, running):
        await running.agents.stop(name="helper")
        events = (await running.agents.events(name="helper")).events
        assert [event.trigger for event in events] == ["stop", "drain", "start", "load"]
        assert [event.trigger for event in (await running.agents.events(name="helper", limit=1)).events] == ["stop"]


class TestDelete:
    async def test_agent_and_file_go_and_the_conversations_stay(self, running):
        await running.ask("Hello")
        deleted = await running.agents.delete(name="helper")
        assert (deleted.name, deleted.messages_erased) == ("helper", 0)
        assert not (running.directory / "helper.toml").exists()
        assert (await told(running.agents.show(name="helper"))).code is Code.AGENT_NOT_FOUND
        assert (await told(running.ask("Hello"))).code is Code.AGENT_NOT_FOUND
        assert len((await running.conversations.list()).conversations) == 1

    async def test_one_that_comes_back_has_its_id_and_history_again(self, running):
        before = await running.agents.show(name="helper")
        first = await running.ask("Hello")
        await running.agents.delete(name="helper")
        toml = 'name = "helper"\nsystem_prompt = "You help."\n'
        assert (await running.agents.create(body=DefinitionText(toml=toml))).id == before.id
        second = await running.ask("Again")
        assert first.text in [message.content for message in running.traces.find(second.in_reply_to).prompt]

    async def test_purging_erases_conversations_and_id(self, running):
        before = await running.agents.show(name="helper")
        await running.ask("Hello")
        assert (await running.agents.delete(name="helper", purge=True)).messages_erased == 2
        assert await running.conversations.list() == ConversationList(conversations=[], next=None)
        toml = 'name = "helper"\nsystem_prompt = "You help."\n'
        assert (await running.agents.create(body=DefinitionText(toml=toml))).id != before.id

    async def test_an_agent_in_the_middle_of_a_turn_is_listed_until_it_has_ended(self, running):
        asking = asyncio.create_task(running.ask("hold on"))
        await running.model.held.wait()
        deleting = asyncio.create_task(running.agents.delete(name="helper"))
        while running.supervisor.get("helper").state != "draining":
            await asyncio.sleep(0)
        (listed,) = (await running.agents.list()).agents
        assert listed.state == "draining"
        assert (await running.agents.show(name="helper")).state == "draining"
        running.model.let_go.set()
        assert (await asking).text == "echo: hold on"
        await deleting
        assert (await running.agents.list()).agents == []

    async def test_another_file_that_defines_the_name_is_in_force_then(self, running):
        await running.definitions.follow(running.file(prompt="The heir.", at="second.toml"))
        await running.agents.delete(name="helper")
        assert (await running.agents.show(name="helper")).definition.system_prompt == "The heir."


async def test_a_reset_erases_this_agents_conversations_only(running):
    await running.agents.create(body=SINGER)
    await running.ask("Hello")
    await running.ask("Hello", conversation_id="elsewhere")
    await running.ask("Hello", to="singer")
    assert (await running.agents.reset(name="helper")).messages_erased == 4
    listed = await running.conversations.list()
    assert [conversation.agent for conversation in listed.conversations] == ["singer"]
    again = await running.ask("Hello")
    assert len(running.traces.find(again.in_reply_to).prompt) == 2
