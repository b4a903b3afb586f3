"""Which bytes are a request of a head that came before, and how many heads are known."""

from embedplane_server.http_heads import END, MOST_BYTES, MOST_HEADS, KnownHeads, framed
from embedplane_server.routes.express import Head


def request_of(length: int = 3, body: bytes = b"abc", header: bytes = b"x: y") -> bytes:
    return b"POST /v1/embeddings HTTP/1.1\r\n%b\r\nContent-Length: %d\r\nhost: x\r\n\r\n%b" % (header, length, body)


def test_a_request_is_its_head_and_a_body_of_the_length_that_it_says():
    request = framed(request_of())
    assert request is not None
    assert request.body == b"abc"
    assert request.head == request_of(0, b"").replace(b"0", b"", 1)
    longer = framed(request_of(12, b"abcdefghijkl"))
    assert longer is not None
    assert longer.head == request.head
    whole = request_of()
    for other in (whole[:-1], whole + b"d", whole[:40], b"", b"abc", END, END + whole, whole + whole):
        assert framed(other) is None
    assert framed(request_of(header=b"x: " + b"y" * MOST_BYTES)) is None
    assert framed(request_of(header=b"transfer-encoding: chunked").replace(b"Content-Length", b"x")) is None


def test_only_so_many_heads_are_known_and_the_oldest_goes_first():
    heads = KnownHeads()
    requests = [framed(request_of(header=b"x: %d" % number)) for number in range(MOST_HEADS + 3)]
    for request in requests:
        assert request is not None
        heads.learn(request, Head("/v1/embeddings", []))
    assert [request in heads for request in requests if request] == [False] * 3 + [True] * MOST_HEADS
