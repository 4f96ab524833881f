from netshare.netfilter.nftables.wire import attribute, nested, number, string, table_of, text, u32, u64, walk


def test_attributes_are_padded_and_their_length_is_not() -> None:
    assert attribute(7, b"abcde") == b"\x09\x00\x07\x00abcde\0\0\0"
    assert attribute(7, b"") == b"\x04\x00\x07\x00"
    assert text(1, "abc") == b"\x08\x00\x01\x00abc\0"
    assert nested(2, u32(1, 5)) == b"\x0c\x00\x02\x80\x08\x00\x01\x00\0\0\0\x05"


def test_what_was_packed_is_walked() -> None:
    packed = u32(1, 0xDEADBEEF) + nested(2, text(1, "web"), u64(2, 1 << 40)) + attribute(3, b"x")
    found = table_of(packed)
    assert number(found[1]) == 0xDEADBEEF
    inner = table_of(found[2])
    assert (string(inner[1]), number(inner[2])) == ("web", 1 << 40)
    assert [kind for kind, _ in walk(packed)] == [1, 2, 3]
    assert bytes(found[3]) == b"x"


def test_what_is_cut_short_ends_the_walk() -> None:
    packed = u32(1, 1) + u32(2, 2)
    for length in range(len(packed)):
        assert [kind for kind, _ in walk(packed[:length])] == ([1] if length >= 8 else [])
    assert list(walk(b"\x00\x00\x01\x00" * 4)) == []
    assert list(walk(b"\x03\x00\x01\x00" * 4)) == []


def test_what_is_not_there_is_nothing() -> None:
    assert (number(None), number(None, 7), string(None)) == (0, 7, "")
    assert string(memoryview(b"\xff\0x")) == "\ufffd"
