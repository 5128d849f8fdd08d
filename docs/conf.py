"""Settings of the site, which `make docs` builds with Sphinx; `index.md` says what is on it."""

import sys
from importlib import metadata
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))

project = "nutmill"
copyright = "the nutmill developers"
release = metadata.version("nutmill")

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "commands",
    "docstrings",
    "outside",
]
exclude_patterns = ["_extensions", "gallery/data"]

# Files that people also read on their own are plain Markdown, and links in them name headings as GitHub does.
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 4

nb_execution_mode = "force"
nb_execution_timeout = 300
nb_execution_raise_on_error = True
nb_merge_streams = True
nb_ipywidgets_js = {}  # which browsers would get from other machines
nb_render_image_options = {"class": "figure"}

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
napoleon_google_docstring = False
napoleon_use_rtype = False
# Options begin with two hyphens, and "auto" is typed with these quotes.
smartquotes = False
# A single backtick in a docstring is code.
default_role = "code"
python_maximum_signature_line_length = 90
maximum_signature_line_length = 90
add_module_names = False

html_theme = "furo"
html_title = f"nutmill {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#1f5f86", "color-brand-content": "#1f5f86"},
    "dark_css_variables": {"color-brand-primary": "#7fb8da", "color-brand-content": "#7fb8da"},
}
# Source code is copied without the prompts and outputs beside it.
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
