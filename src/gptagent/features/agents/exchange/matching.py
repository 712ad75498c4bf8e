"""What a file of another workspace refers to, found here by its name. Pure.

References are those of references.py. A name that several things here have finds none of them: a guess would
let an agent answer where nobody wants it to.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from uuid import UUID

from gptagent.features.agents.model import PipelineRule, Settings, UpdateRule
from gptagent.features.agents.references import names_of, pipeline_name, references_of

# What things are called, by the setting that refers to them and the reference.
Names = Mapping[str, Mapping[str, str]]
PIPELINES = "pipelines.chosen"


@dataclass(frozen=True, slots=True)
class Unmatched:
    """A setting of the file refers to what is not found here. Without a `name` the file has none for it."""

    setting: str
    reference: str
    name: str


@dataclass(slots=True)
class Matching:
    """`theirs` are the names of the file, `ours` those of everything here that settings may refer to."""

    theirs: Names
    ours: Names
    unmatched: list[Unmatched] = field(default_factory=list)

    def match(self, old: Settings) -> Settings:
        """Return the settings with what is found here by its name; the rest stays, and is listed."""
        rules = self._pipelines(old.pipelines.chosen)
        found = {
            path: {one: self._here(path, one) for one in references}
            for path, references in references_of(old).items()
            if path != PIPELINES
        }

        def listed(path: str, references: Iterable[str]) -> tuple[str, ...]:
            return tuple(dict.fromkeys(found[path].get(one, one) for one in references))

        def ruled(path: str, given: Iterable[UpdateRule]) -> tuple[UpdateRule, ...]:
            return tuple(replace(one, field=found[path].get(one.field, one.field)) for one in given)

        categories = listed("knowledge.categories", map(str, old.knowledge.categories))
        return replace(
            old,
            pipelines=replace(old.pipelines, chosen=rules),
            channels=replace(old.channels, chosen=listed("channels.chosen", old.channels.chosen)),
            knowledge=replace(old.knowledge, categories=tuple(map(UUID, categories))),
            readable=replace(
                old.readable,
                lead=listed("readable.lead", old.readable.lead),
                contact=listed("readable.contact", old.readable.contact),
            ),
            update_rules=replace(
                old.update_rules,
                lead=ruled("update_rules.lead", old.update_rules.lead),
                contact=ruled("update_rules.contact", old.update_rules.contact),
            ),
        )

    def _pipelines(self, rules: Iterable[PipelineRule]) -> tuple[PipelineRule, ...]:
        """A pipeline here stands for one of the file, or a rule would be lost."""
        given = list(rules)
        taken = {_key(rule) for rule in given} & set(self.ours.get(PIPELINES, {}))
        matched = []
        for rule in given:
            key = _key(rule)
            found = self._find(PIPELINES, key, above=None)
            if found is None or (found != key and found in taken):
                self._miss(PIPELINES, key)
                matched.append(rule)
            else:
                taken.add(found)
                matched.append(self._moved(rule, found))
        return tuple(matched)

    def _moved(self, rule: PipelineRule, pipeline: str) -> PipelineRule:
        """Return the rule for the pipeline of this name, with its stages by theirs."""
        connection, _, number = pipeline.partition("/")
        stages = {
            int(name.rpartition("/")[2]): self._stage(name, pipeline)
            for name in names_of(rule)
            if name.count("/") > 1
        }
        return replace(
            rule,
            connection_id=UUID(connection),
            pipeline_id=int(number),
            stages=tuple(dict.fromkeys(stages[one] for one in rule.stages)),
            instructions=tuple(replace(one, stage_id=stages[one.stage_id]) for one in rule.instructions),
            follow_ups=tuple(replace(one, stage_id=stages[one.stage_id]) for one in rule.follow_ups),
            goals=tuple(
                replace(
                    one,
                    stage_id=stages[one.stage_id],
                    next_stage_id=stages[one.next_stage_id] if one.next_stage_id is not None else None,
                )
                for one in rule.goals
            ),
        )

    def _stage(self, name: str, pipeline: str) -> int:
        stage = name.rpartition("/")[2]
        same = f"{pipeline}/{stage}"
        found = same if same in self.ours[PIPELINES] else self._find(PIPELINES, name, above=pipeline)
        if found is None:
            self._miss(PIPELINES, name)
        return int((found or name).rpartition("/")[2])

    def _here(self, path: str, reference: str) -> str:
        found = self._find(path, reference, above=None)
        if found is None:
            self._miss(path, reference)
        return found or reference

    def _find(self, path: str, reference: str, *, above: str | None) -> str | None:
        """Return the reference itself if it is there, else the only one called so, below `above`."""
        ours = self.ours.get(path, {})
        if reference in ours and above is None:
            return reference
        name = _plain(self.theirs.get(path, {}).get(reference, ""))
        found = [one for one, own in ours.items() if name and _plain(own) == name and _above(one) == above]
        return found[0] if len(found) == 1 else None

    def _miss(self, path: str, reference: str) -> None:
        name = self.theirs.get(path, {}).get(reference, "")
        self.unmatched.append(Unmatched(path, reference, name))


def _above(reference: str) -> str | None:
    """Return the pipeline of a stage, None for what is no stage."""
    return reference.rpartition("/")[0] if reference.count("/") > 1 else None


def _key(rule: PipelineRule) -> str:
    return pipeline_name(rule.connection_id, rule.pipeline_id)


def _plain(name: str) -> str:
    return " ".join(name.split()).casefold()
