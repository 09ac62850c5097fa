"""Pipelines load by family name, and only the real one brings torch."""

import subprocess
import sys

import pytest

from inference.pipelines.loading import UnknownPipelineFamily, load_pipeline


def test_the_protocol_the_fake_and_the_loader_do_not_import_torch():
    code = (
        "import sys, pathlib\n"
        "from inference.pipelines import protocol, fake, loading\n"
        "loading.load_pipeline('fake', pathlib.Path('.'), 'cpu')\n"
        "sys.exit(any(name in sys.modules for name in ('torch', 'diffusers', 'transformers')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_unknown_family_is_refused(tmp_path):
    with pytest.raises(UnknownPipelineFamily):
        load_pipeline("sculpture", tmp_path, "cpu")


def test_a_folder_without_a_pipeline_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_pipeline("stable_diffusion", tmp_path, "cpu")
