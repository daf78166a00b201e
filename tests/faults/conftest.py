"""The faults' own settings; the rest is that of the conformance tests."""

import importlib.util
import pathlib

import pytest

# The fixtures of the conformance tests, which stand on PYTHONPATH under the same file name.
_path = pathlib.Path(__file__).parent.parent / "conformance" / "conftest.py"
_spec = importlib.util.spec_from_file_location("conformance", _path)
conformance = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(conformance)
site = conformance.site


def pytest_addoption(parser):
    parser.addoption("--database-flag", help="file that asks for the database to be stopped")
    parser.addoption("--objects", help="folder of the object store that is slow and fails")


@pytest.fixture
def database_flag(request):
    path = request.config.getoption("--database-flag")
    return pathlib.Path(path) if path else pytest.fail("run by: cargo xtask test serve-faults")


@pytest.fixture
def kiln():
    return conformance


@pytest.fixture
def objects(request):
    path = request.config.getoption("--objects")
    return pathlib.Path(path) if path else pytest.fail("run by: cargo xtask test serve-faults")
