import pytest

from fedsieve.checksums import hash_file

ABC = {
    "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    "md5": "900150983cd24fb0d6963f7d28e17f72",
}
"""Of the letters abc, as FIPS 180 and RFC 1321 give them."""


@pytest.mark.parametrize("algorithm", ABC)
def test_the_checksum_is_the_published_one(tmp_path, algorithm):
    (tmp_path / "abc").write_bytes(b"abc")
    assert hash_file(tmp_path / "abc", algorithm) == ABC[algorithm]


def test_sha256_is_meant_where_no_algorithm_is_named(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")
    assert hash_file(tmp_path / "abc") == ABC["sha256"]
