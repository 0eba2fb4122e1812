from pathlib import Path

import pytest

from tests.verify.corpus import ACCEPT, REJECT, Example, assemble


@pytest.fixture(scope="session")
def examples(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, Example]:
    folders = {folder: tmp_path_factory.mktemp(folder.name) for folder in (ACCEPT, REJECT)}
    return {
        source: example
        for folder, output in folders.items()
        for source, example in assemble(sorted(folder.glob("*.s")), output).items()
    }
