"""Who answers where: pure rules over agents in the order they were made in."""

from collections.abc import Sequence

from gptagent.features.agents.model import Agent, PipelineRule, Place, Settings, StageFollowUp, StageGoal


def choose(candidates: Sequence[Agent], place: Place) -> Agent | None:
    """Return the first of the active agents that fits the place."""
    return next((agent for agent in candidates if fits(agent.settings, place)), None)


def fits(settings: Settings, place: Place) -> bool:
    return takes_channel(settings, place.channel) and takes_deal(settings, place)


def takes_channel(settings: Settings, channel: str) -> bool:
    return settings.channels.all or channel in settings.channels.chosen


def takes_all(settings: Settings) -> bool:
    """Whether it fits everywhere, so that no agent after it is ever asked."""
    return settings.channels.all and settings.pipelines.all


def stage_text(settings: Settings, place: Place) -> str:
    """Return what the agent is told at the deal's stage, empty if nothing is."""
    rule = _rule(settings, place)
    if rule is None:
        return ""
    return next((one.text for one in rule.instructions if one.stage_id == place.stage_id), "")


def overshadowed_by(agents: Sequence[Agent], agent: Agent) -> Agent | None:
    """Return the active agent before it that takes every message, so that this one gets none."""
    for one in agents:
        if one.id == agent.id:
            return None
        if one.is_active and takes_all(one.settings):
            return one
    return None


def stage_goal(settings: Settings, place: Place) -> StageGoal | None:
    """Return what is to be reached where the deal is; None if nothing is said."""
    rule = _rule(settings, place)
    return next((one for one in rule.goals if one.stage_id == place.stage_id), None) if rule else None


def stage_follow_up(settings: Settings, place: Place) -> StageFollowUp | None:
    """Return what a silent customer is sent whose deal is there; None if nothing."""
    rule = _rule(settings, place)
    if rule is None:
        return None
    return next((one for one in rule.follow_ups if one.stage_id == place.stage_id), None)


def takes_deal(settings: Settings, place: Place) -> bool:
    """Whether the deal's stage is one of the chosen; of a stage that is not known nobody can say so."""
    if settings.pipelines.all:
        return True
    rule = _rule(settings, place)
    if rule is None or not rule.is_active or place.stage_id is None:
        return False
    return rule.all_stages or place.stage_id in rule.stages


def _rule(settings: Settings, place: Place) -> PipelineRule | None:
    where = (place.connection_id, place.pipeline_id)
    return next(
        (rule for rule in settings.pipelines.chosen if (rule.connection_id, rule.pipeline_id) == where), None
    )
