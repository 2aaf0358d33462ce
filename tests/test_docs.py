"""The pages about the library are built without a warning, and say what its functions take."""

import pdoc
import pytest

from kerascifar import api


# Docstrings of Keras and NumPy are not ours to mend.
@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning")
def test_the_api_pages_are_built_without_warnings(tmp_path):
    pdoc.render.configure(docformat="google")
    pdoc.pdoc("kerascifar.api", "kerascifar.training.models", output_directory=tmp_path)
    page = (tmp_path / "kerascifar" / "api.html").read_text(encoding="utf-8")
    for name in api.__all__:
        assert f'id="{name}"' in page, name
    assert "One record per seed" in page
