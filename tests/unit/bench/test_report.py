"""The report says where its figures are from, and README.md says what it says."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench import report
from bench.headline import BEGIN, END, headline, put_into

ROOT = Path(__file__).parents[3]

ABOUT = {
    "made": 1_700_000_000.0,
    "commit": "0123abcde",
    "rounds": 5,
    "seconds": 2,
    "machine": {"processor": "one", "njs": ""},
    "load_average": 0.31,
}


def test_the_report_says_of_which_commit_time_and_machine_each_scenario_is() -> None:
    told = "\n".join(report.origin({"costs": ABOUT, "zipf": ABOUT}))
    assert "| What authentication costs | 0123abcde | 2023-11-14 22:13 | 5 | 2 | 0.3 |" in told
    assert told.count("0123abcde") == 2
    assert told.count("processor one.") == 1
    assert "**" not in told


def test_it_says_so_when_scenarios_are_of_different_commits_or_machines() -> None:
    other = ABOUT | {"commit": "98765fedc+", "machine": {"processor": "two"}}
    told = "\n".join(report.origin({"costs": ABOUT, "zipf": other}))
    assert "**Not all scenarios were measured at the same commit**: 0123abcde, 98765fedc+." in told
    assert "files differed from the commit" in told
    assert "**Not all scenarios were measured on the same machine:**" in told
    assert "processor one." in told
    assert "processor two." in told


def test_figures_of_some_scenarios_do_not_go_to_docs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "README.md").write_text(f"{BEGIN}as it was{END}")
    report.write({}, tmp_path)
    assert "side by side" in (tmp_path / report.PART / "gateway.md").read_text()
    assert not (tmp_path / report.WHOLE).exists()
    assert "as it was" in (tmp_path / "README.md").read_text()
    assert "without costs, " in capsys.readouterr().out


def test_the_readmes_table_is_that_of_the_report() -> None:
    costs = (ROOT / report.WHOLE / "gateway.md").read_text().partition("\n## What authentication costs\n")[2]
    measured = {}
    for line in costs.partition("Where the time goes")[0].splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 7:
            measured[cells[0], cells[1]] = cells[2].partition(" ")[0]
    readme = (ROOT / "README.md").read_text()
    assert put_into(readme, headline(measured)) == readme


def test_a_readme_without_a_place_for_the_table_is_refused() -> None:
    with pytest.raises(ValueError, match="costs"):
        put_into("# A README", "a table")
