"""What mkdocs calls when it builds the site: pages that are made, and links that are changed."""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import site_links
import site_reference
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add what pages link to outside of ``docs/``, and the notebooks as pages beside the files."""
    for file in [file for file in files if file.src_uri.endswith(".ipynb")]:
        files.append(File.generated(config, file.src_uri.replace(".ipynb", ".md"), content=_notebook(file)))
    pages = [site_links.origin(file.src_uri) for file in files.documentation_pages() if not file.generated_by]
    for uri, path in site_links.beside_docs(pages).items():
        files.append(File.generated(config, uri, content=site_links.as_page(path)))
    return files


def on_page_markdown(markdown: str, *, page: Page, **_: object) -> str:
    """Write the reference where a page asks for it, and make of GitHub's markdown and links those of the site."""
    if page.is_homepage:
        page.meta["hide"] = ["navigation"]
    return site_links.for_the_site(site_reference.with_reference(site_links.with_gaps(markdown)), page.file.src_uri)


def on_post_page(output: str, **_: object) -> str:
    """Give the theme's search a name, for those who hear the page."""
    return output.replace(
        'data-md-component="search" role="dialog"', 'data-md-component="search" role="dialog" aria-label="Search"'
    )


def _notebook(file: File) -> str:
    """The cells of a notebook, which is kept without results, as markdown."""
    cells = json.loads(file.content_string)["cells"]
    texts = (("".join(cell["source"]), cell["cell_type"]) for cell in cells)
    return "\n\n".join(f"```python\n{text}\n```" if kind == "code" else text for text, kind in texts)
