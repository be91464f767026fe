import importlib
import json
import re

import pytest

pytest.importorskip("jupytext", reason="the extra `docs` is not installed")
pytest.importorskip("mkdocs", reason="the extra `docs` is not installed")
griffe = pytest.importorskip("griffe", reason="the extra `docs` is not installed")

site = importlib.import_module("tools.documentation_site")
public_objects = importlib.import_module("tools.public_objects")


@pytest.mark.parametrize(
    ("place", "text", "expected"),
    [
        ("search.md", "[a](../README.md#use)", "[a](repository/readme.md#use)"),
        ("tutorials/first_file.md", "[a](../../CONTRIBUTING.md)", "[a](../repository/contributing.md)"),
        ("repository/readme.md", "[a](docs/export.md#modes) [b](LICENSE)", "[a](../export.md#modes) [b](LICENSE)"),
        ("repository/readme.md", "![a](docs/figures/b.png)", "![a](../figures/b.png)"),
        ("export.md", "[a](search.md) [b](https://c.d/e.md) [f](#g)", "[a](search.md) [b](https://c.d/e.md) [f](#g)"),
        ("export.md", "```\n[a](../README.md)\n```", "```\n[a](../README.md)\n```"),
    ],
)
def test_links_lead_to_pages(place, text, expected):
    assert site.relinked(text, place) == expected


def test_a_tutorial_is_a_page_and_a_notebook():
    made = site.tutorials()
    page, notebook = made["tutorials/first_file.md"], json.loads(made["tutorials/first_file.ipynb"])
    assert page.startswith("# The first file in ten minutes\n\n[As a notebook](first_file.ipynb)")
    code = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert re.findall(r"^```python\n(.*?)\n```$", page, re.MULTILINE | re.DOTALL) == code
    assert not any(cell.get("outputs") for cell in notebook["cells"])


def test_the_reference_has_every_public_name_with_its_signature():
    pages = site.reference_pages()
    for module, names in public_objects.public_names().items():
        page = pages[f"reference/{module}.md"]
        assert [f"{module}.{name}" for name in names if f"\n::: {module}.{name}\n" not in page] == []
    assert "## tfmp doctor" in pages["reference/commands.md"]
    loader = griffe.GriffeLoader(extensions=griffe.load_extensions(public_objects.PublicObjects))
    package = loader.load("tfmp")
    assert "target" in [parameter.name for parameter in package["export_tflite"].parameters]
    layer = package["layers.MixedPrecisionConv2D"]
    assert layer.parameters["weight_bits"].default == "(1, 2, 3, 4)"
    assert "relaxation: " in layer.docstring.value and "Examples:\n" in layer.docstring.value


def test_docstrings_are_markdown():
    text = public_objects.as_markdown("P = 2**(bits - 1)\n\nExample:\n    >>> f(**x)")
    assert text == "P = 2\\*\\*(bits - 1)\n\nExamples:\n    >>> f(**x)"
