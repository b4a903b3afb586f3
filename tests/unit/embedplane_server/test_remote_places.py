"""URLs of object storage, the files of a Secret, and what the clouds mean by their errors. Nothing is asked here."""

import json
from pathlib import Path

import pytest
from obstore.exceptions import GenericError, PermissionDeniedError
from obstore.store import AzureStore, GCSStore, S3Store

from embedplane_server.errors import TransientError
from embedplane_server.store import open_store
from embedplane_server.store.answers import Meaning, is_absent, meaning_of, told
from embedplane_server.store.remote import CredentialsError, Place, connect, read_place


def folder_of(path: Path, **files: str) -> Path:
    path.mkdir()
    for name, content in files.items():
        (path / name).write_text(content + "\n")
    return path


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("s3://models", Place("s3", "models")),
        ("gs://models/a/b/", Place("gs", "models", "a/b")),
        (
            "s3://models/a?endpoint=http://minio:9000&region=eu-1&credentials=/secret",
            Place("s3", "models", "a", "http://minio:9000", "eu-1", Path("/secret")),
        ),
    ],
)
def test_a_url_says_where_it_is_and_how_it_is_reached(url, place):
    assert read_place(url) == place


@pytest.mark.parametrize("url", ["s3://", "ftp://models", "s3://models?endpont=http://a", "s3://models#a"])
def test_a_url_that_says_something_else_is_refused(url):
    with pytest.raises(ValueError, match="is no URL of object storage"):
        read_place(url)


def test_keys_of_a_secret_become_the_client_s(tmp_path):
    s3 = folder_of(tmp_path / "s3", AWS_ACCESS_KEY_ID="id", AWS_SECRET_ACCESS_KEY="key", AWS_SESSION_TOKEN="token")
    az = folder_of(tmp_path / "az", AZURE_STORAGE_ACCOUNT_NAME="account", AZURE_STORAGE_ACCOUNT_KEY="a2V5")
    amazon, azure = connect(Place("s3", "models", credentials=s3)), connect(Place("az", "models", credentials=az))
    assert isinstance(amazon, S3Store)
    assert amazon.config["access_key_id"] == "id"
    assert amazon.config["session_token"] == "token"
    assert isinstance(azure, AzureStore)
    assert azure.config["account_name"] == "account"


def test_a_google_key_that_is_none_is_told(tmp_path):
    key = {"type": "service_account", "private_key": "k", "private_key_id": "i", "client_email": "a@b"}
    secret = folder_of(tmp_path / "gs", GOOGLE_SERVICE_ACCOUNT_KEY=json.dumps(key))
    with pytest.raises(TransientError, match=r"gs://models.*cannot open it.*pem file.*Give the Secret"):
        open_store(f"gs://models?credentials={secret}")


def test_the_account_of_a_container_is_its_endpoint_s():
    found = connect(Place("az", "models", endpoint="https://account.blob.core.windows.net"), anonymous=True)
    assert isinstance(found, AzureStore)
    assert found.config["account_name"] == "account"


def test_an_endpoint_of_something_else_than_google_is_asked():
    found = connect(Place("gs", "models", endpoint="http://127.0.0.1:4443"))
    assert isinstance(found, GCSStore)
    assert found.config["base_url"] == "http://127.0.0.1:4443"


@pytest.mark.parametrize(
    ("scheme", "files", "said"),
    [
        ("s3", {}, "lacks AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
        ("s3", {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": " "}, "lacks AWS_SECRET_ACCESS_KEY"),
        ("gs", {"AWS_ACCESS_KEY_ID": "id"}, "lacks GOOGLE_SERVICE_ACCOUNT_KEY"),
        ("az", {}, "none of AZURE_STORAGE_ACCOUNT_NAME"),
    ],
)
def test_what_a_secret_lacks_is_named(tmp_path, scheme, files, said):
    place = Place(scheme, "models", credentials=folder_of(tmp_path / "secret", **files))
    with pytest.raises(CredentialsError, match=said):
        connect(place)


def answer(status: int, code: str) -> GenericError:
    return GenericError(
        f"Generic S3 error: Error performing GET http://a/b?sig=secret in 1ms - Server returned non-2xx status code: "
        f'{status} Some: <?xml version="1.0"?>\n<Error><Code>{code}</Code><Message>Words.</Message></Error>'
    )


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        (PermissionDeniedError("no"), Meaning.DENIED),
        (answer(403, "InvalidAccessKeyId"), Meaning.DENIED),
        (answer(403, "AuthenticationFailed"), Meaning.DENIED),
        (answer(404, "NoSuchBucket"), Meaning.NO_BUCKET),
        (answer(404, "ContainerNotFound"), Meaning.NO_BUCKET),
        (answer(301, "PermanentRedirect"), Meaning.ELSEWHERE),
        (answer(400, "AuthorizationHeaderMalformed"), Meaning.ELSEWHERE),
        (answer(503, "SlowDown"), Meaning.UNREACHABLE),
        (GenericError("Generic S3 error: HTTP error: error sending request"), Meaning.UNREACHABLE),
    ],
)
def test_errors_of_every_cloud_have_a_meaning(error, meaning):
    assert meaning_of(error) is meaning


def test_only_a_missing_object_is_absent():
    assert is_absent(FileNotFoundError("Object at location a not found: <Code>NoSuchKey</Code>"))
    assert is_absent(FileNotFoundError("Object at location a not found: <Code>BlobNotFound</Code>"))
    assert not is_absent(FileNotFoundError("Object at location a not found: <Code>NoSuchBucket</Code>"))


def test_the_server_s_own_words_are_told_and_no_signature():
    assert told(answer(403, "SignatureDoesNotMatch")) == "403 SignatureDoesNotMatch: Words."
    first = told(GenericError("Error performing GET http://a/b?sig=secret in 1ms\n\nDebug source: more"))
    assert first == "Error performing GET http://a/b in 1ms"
