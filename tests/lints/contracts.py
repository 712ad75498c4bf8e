"""A contract for import-linter: what features may know of each other."""

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output


class PublicModules(Contract):
    """A feature imports nothing of another feature but that one's public modules.

    `features` is the package that holds them. `public` names modules every feature offers (`service`) and
    additions of single features (`identity.tokens`); what lies below a public module is private.
    """

    type_name = "public_modules"

    features = fields.StringField()
    public = fields.SetField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Return the imports that reach behind another feature's public modules."""
        del verbose
        broken = [
            (importer, imported)
            for importer in sorted(graph.find_descendants(self.features))
            for imported in sorted(graph.find_modules_directly_imported_by(importer))
            if self._is_private(importer, imported)
        ]
        return ContractCheck(kept=not broken, metadata={"broken": broken})

    def _is_private(self, importer: str, imported: str) -> bool:
        prefix = f"{self.features}."
        if not imported.startswith(prefix):
            return False
        mine, theirs = (name.removeprefix(prefix).partition(".") for name in (importer, imported))
        if mine[0] == theirs[0]:
            return False
        return theirs[2] not in self.public and f"{theirs[0]}.{theirs[2]}" not in self.public

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Say which import is wrong and what to do."""
        for importer, imported in check.metadata["broken"]:
            output.print_error(f"{importer} imports {imported}, which is private to its feature.")
        output.print_error("Fix: call a verb of its service, or use its model and events.")
        output.print_error("Escape: add the module to `public` of this contract, with a reason.")
