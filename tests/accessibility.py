"""What npm's `axe-core` says about a page in a browser."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.async_api import Page

FOLDER = Path(__file__).parent / "axe"
# All but the rules that axe itself calls experimental.
_RUN = """async ([within, rules]) => {
  for (const one of document.getAnimations()) {  // colours on their way have no contrast yet
    if (Number.isFinite(one.effect.getComputedTiming().endTime)) one.finish(); else one.cancel();
  }
  const only = rules ? {type: 'rule', values: rules} : {type: 'tag', values: TAGS};
  const found = await axe.run(within ?? document, {runOnly: only, resultTypes: ['violations']});
  const place = node => node.target.join(' ') + ': ' + node.failureSummary;
  return found.violations.map(one => [one.impact, one.id, one.nodes.map(place).join('; ')]);
}""".replace("TAGS", "['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']")


@contextmanager
def axe_script() -> Iterator[str]:
    """Fetch the package as its lock file has it, and hand out its script."""
    folder = Path(tempfile.mkdtemp(prefix="gpta-axe-"))
    try:
        for file in FOLDER.iterdir():
            shutil.copy(file, folder)
        command = ["npm", "ci", "--no-audit", "--no-fund", "--silent", "--ignore-scripts"]
        subprocess.run(command, cwd=folder, check=True, timeout=240)
        yield (folder / "node_modules/axe-core/axe.min.js").read_text()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def violations(
    page: Page, within: str | None = None, rules: list[str] | None = None
) -> list[tuple[str, str, str]]:
    """Return impact, rule and places of what is wrong on a page that has the script."""
    return [tuple(one) for one in await page.evaluate(_RUN, [within, rules])]
