from fedsieve.notices import MOST, SIGN, told, warn


def test_a_warning_is_one_line_whatever_it_holds(capsys):
    warn("a\nb\x1b[31m")
    assert capsys.readouterr().out == f"{SIGN}a b [31m\n"


def test_warnings_of_logs_come_once_each_and_logs_may_be_missing(tmp_path):
    (tmp_path / "a.log").write_text(f"progress\n{SIGN}dark\nmore\n", encoding="utf-8")
    (tmp_path / "b.log").write_bytes(f"{SIGN}dark\n{SIGN}".encode() + b"\xff\n")
    found = told(tmp_path / name for name in ("a.log", "none.log", "b.log"))
    assert found.splitlines() == [f"{SIGN}dark", f"{SIGN}\N{REPLACEMENT CHARACTER}"]
    assert told([tmp_path / "none.log"]) == ""


def test_many_warnings_fit_on_a_screen(tmp_path):
    (tmp_path / "a.log").write_text("".join(f"{SIGN}{i}\n" for i in range(50)), encoding="utf-8")
    lines = told([tmp_path / "a.log"]).splitlines()
    assert len(lines) == MOST + 1
    assert lines[-1] == f"{SIGN}and {50 - MOST} more, in the logs"
