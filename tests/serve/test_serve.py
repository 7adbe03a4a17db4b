"""The server's answers are the predictor's, in the form of transformers' pipelines, whatever else happens to it."""

import json
import re
import signal
import socket
import struct
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pytest
from huggingface_hub import InferenceClient
from transformers import pipeline

from stages.predict.inputs import InputOptions
from stages.predict.job import Job
from stages.predict.output_rows import OutputOptions
from stages.predict.predictor import PredictionOptions, Predictor
from stages.serve.answers import answer_to, predictions_of, ranked_labels
from stages.serve.request_body import Input, PredictRequest
from tests.support.browser import visited
from tests.support.exported_runs import rows_of
from tests.support.served import Served, answer_of, asked_to_start, served

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]

EXACT = ("--runtime", "torch", "--precision", "fp32")
HARD = ["the order was bad", "paris", "x", "   ", "Zoë don't", "שלום", "a\u0000b", "👩‍👩‍👧‍👦 great", "the order " * 200]
SHORT = ["the order was bad", "my team in paris", "Zoë", "never great"]

Serve = Callable[[str], Served]


@pytest.fixture(scope="module")
def serve(exported_runs: Mapping[str, Path]) -> Iterator[Serve]:
    """A server of each task's model, started when it is first asked for."""
    running: dict[str, Served] = {}
    with ExitStack() as stack:

        def started(task: str) -> Served:
            if task not in running:
                running[task] = stack.enter_context(served(exported_runs[task], *EXACT))
            return running[task]

        yield started


@pytest.fixture(scope="module")
def faulty(exported_runs: Mapping[str, Path]) -> Iterator[Served]:
    """A server whose model fails where a text says so, and which takes little."""
    more = ("--max-texts", "8", "--max-waiting", "8", "--max-bytes", "2000")
    with served(exported_runs["text"], *EXACT, *more, module="tests.support.faulty_server") as server:
        yield server


def predictor_of(root: Path) -> Predictor:
    return Predictor(root / "models/export", PredictionOptions(runtime="torch", precision="fp32"))


def near(expected: Any) -> Any:
    """The same answer, with scores that may differ as those of other batches do."""
    if isinstance(expected, dict):
        return {
            name: pytest.approx(value, abs=1e-5) if isinstance(value, float) else near(value)
            for name, value in expected.items()
        }
    return [near(each) for each in expected] if isinstance(expected, list) else expected


# The same answers


@pytest.mark.parametrize("task", ["text", "pairs", "regression"])
@pytest.mark.parametrize("parameters", [{}, {"top_k": 1}, {"top_k": 2}, {"top_k": None}], ids=str)
def test_answers_have_the_form_and_the_content_of_a_pipelines(
    task: str, parameters: dict[str, Any], serve: Serve, exported_runs: Mapping[str, Path]
) -> None:
    reference = pipeline("text-classification", str(exported_runs[task] / "models/export"), device="cpu")
    shapes: list[Any] = [SHORT[0], [SHORT[0]], SHORT]
    if task == "pairs":
        both = [{"text": text, "text_pair": f"{text} again"} for text in SHORT]
        shapes = [both[0], [both[0]], both]
    for inputs in shapes:
        expected = reference(inputs, **parameters)
        assert serve(task).predict(inputs=inputs, parameters=parameters) == near(expected)
        if not parameters:
            assert serve(task).predict(inputs=inputs) == near(expected)
    assert serve(task).predict(inputs=[]) == []  # at which pipelines fail


def test_the_predicted_label_comes_first_among_equals() -> None:
    """Probabilities are rounded, so that two may be equal of which one was larger."""
    probabilities = [{"a": 0.5, "b": 0.5}, {"a": 0.4, "b": 0.6}]
    table = pa.table({"predicted": ["b", "b"], "score": [0.5, 0.6], "probabilities": probabilities})
    assert [[each.label for each in of_text.ranked] for of_text in ranked_labels(table)] == [["b", "a"], ["b", "a"]]


def test_texts_and_pairs_in_one_request_each_get_their_own(exported_runs: Mapping[str, Path]) -> None:
    """An older export does not tell which of both its model takes."""
    predictor = predictor_of(exported_runs["pairs"])
    inputs = [Input(text, None if place % 2 else "the city") for place, text in enumerate(HARD)]
    alone = predictor.label_texts(HARD[1::2]).to_pylist()
    paired = predictor.label_texts(HARD[::2], ["the city"] * len(HARD[::2])).to_pylist()
    answers = answer_to(PredictRequest(tuple(inputs), "list"), predictions_of(predictor, inputs))
    assert isinstance(answers, list)
    for answer, expected in zip([*answers[1::2], *answers[::2]], [*alone, *paired], strict=True):
        assert vars(answer) == near({"label": expected["predicted"], "score": expected["score"]})


def test_a_model_gets_pairs_if_it_was_trained_on_pairs(serve: Serve) -> None:
    for task, content, told in (
        (
            "text",
            {"text": "a", "text_pair": "b"},
            "inputs: is a pair, and the model was not trained on pairs; send a text",
        ),
        ("pairs", "a", "inputs: is one text, and the model was trained on pairs; send"),
    ):
        status, _, answer = serve(task).ask("POST", "/predict", json.dumps({"inputs": content}).encode())
        assert status == 422 and told in answer["error"]


def test_a_model_of_any_number_of_labels_gives_those_above_its_threshold(
    serve: Serve, exported_runs: Mapping[str, Path]
) -> None:
    texts = [row["text"] for row in rows_of("multilabel", 21, 2)]
    rows = predictor_of(exported_runs["multilabel"]).label_texts(texts).to_pylist()
    answers = serve("multilabel").predict(inputs=texts)
    for row, answer in zip(rows, answers, strict=True):
        assert {each["label"]: each["score"] for each in answer} == near(
            {label: row["score"][label] for label in row["predicted"]}
        )
    assert len({len(answer) for answer in answers}) > 1 or answers[0]
    assert serve("multilabel").predict(inputs=texts[0]) == near(answers[0])
    (ranked,) = serve("multilabel").predict(inputs=texts[:1], parameters={"top_k": None})
    assert {each["label"]: each["score"] for each in ranked} == near(rows[0]["score"])
    assert ranked == sorted(ranked, key=lambda each: -each["score"])


def test_entities_are_those_of_the_predict_command(
    serve: Serve, exported_runs: Mapping[str, Path], tmp_path: Path
) -> None:
    root = exported_runs["tokens"]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in HARD), encoding="utf-8")
    predictor = predictor_of(root)
    output = OutputOptions("jsonl", predictor.labels, of_words=True)
    options = InputOptions("tokens", of_words=True)
    Job(tmp_path / "in.jsonl", tmp_path / "out.jsonl", options, output).run(predictor)
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    expected = [
        [{"entity_group": each["label"], "word": each["text"], **{key: each[key] for key in ("score", "start", "end")}}
         for each in row["entities"]]
        for row in rows
    ]  # fmt: skip
    assert any(expected)
    assert serve("tokens").predict(inputs=HARD) == near(expected)
    for text, entities in zip(HARD, expected, strict=True):
        assert serve("tokens").predict(inputs=text, parameters={"aggregation_strategy": "simple"}) == near(entities)
        assert all(text[each["start"] : each["end"]] == each["word"] for each in entities)


def test_the_client_of_the_hub_reads_the_entities(serve: Serve) -> None:
    found = InferenceClient(f"{serve('tokens').address}/predict").token_classification(SHORT[0])
    assert [vars(each)["entity_group"] for each in found] == [
        each["entity_group"] for each in serve("tokens").predict(inputs=SHORT[0])
    ]


def test_texts_of_any_length_come_back_in_order(serve: Serve, exported_runs: Mapping[str, Path]) -> None:
    texts = [row["text"] for row in rows_of("text", 100, 5)]
    table = predictor_of(exported_runs["text"]).label_texts(texts)
    answers = serve("text").predict(inputs=texts)
    assert [each["label"] for each in answers] == table["predicted"].to_pylist()
    assert [each["score"] for each in answers] == table["score"].to_pylist()


def test_many_clients_at_once_each_get_their_own_answers(serve: Serve, exported_runs: Mapping[str, Path]) -> None:
    """Entities quote the text that they are of, so that no other text's answer would pass."""
    clients, requests = 100, 5
    texts = [f"client {place} {row['text']}" for place, row in enumerate(rows_of("text", clients * requests, 3))]
    server = serve("tokens")

    def client(number: int) -> list[Any]:
        connection, answers = server.connection(), []
        for text in texts[number * requests : (number + 1) * requests]:
            connection.request("POST", "/predict", json.dumps({"inputs": text}))
            status, _, answer = answer_of(connection)
            assert status == 200
            answers.append(answer)
        connection.close()
        return answers

    with ThreadPoolExecutor(clients) as pool:
        answers = [answer for some in pool.map(client, range(clients)) for answer in some]
    expected = answer_to(
        PredictRequest(inputs := tuple(map(Input, texts)), "list"),
        predictions_of(predictor_of(exported_runs["tokens"]), inputs),
    )
    wanted = json.loads(json.dumps(expected, default=vars))
    assert len({json.dumps(each) for each in wanted}) > 0.9 * len(texts)
    assert answers == near(wanted)


# Everything else that HTTP has


def test_health_tells_what_is_served(serve: Serve, exported_runs: Mapping[str, Path]) -> None:
    status, _, health = serve("tokens").ask("GET", "/health")
    config = json.loads((exported_runs["tokens"] / "models/export/config.json").read_text())
    assert status == 200 and health["status"] == "ready"
    assert (health["model"], health["runtime"], health["task"]) == ("models/export", "torch", "token-classification")
    assert health["labels"] == [*config["id2label"].values()]
    assert serve("regression").ask("GET", "/health")[2]["labels"] == []


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "message"),
    [
        ("GET", "/predict", None, 405, "there is POST /predict, GET /health and a page at GET /"),
        ("POST", "/health", b"{}", 405, "there is POST /predict"),
        ("GET", "/nothing", None, 404, "there is POST /predict"),
        ("GET", "/../../etc/passwd", None, 404, "there is POST /predict"),
        ("POST", "/predict", b"", 422, "the body is not JSON (EOF"),
        ("POST", "/predict", b'{"inputs": [1]}', 422, "inputs[0]: is 1; send a text"),
        ("POST", "/predict", json.dumps({"inputs": ["a"] * 9}).encode(), 422, "inputs: are 9, and this server takes 8"),
        ("POST", "/predict", b" " * 2001, 413, "the body is larger than 2000 bytes"),
    ],
)
def test_what_can_not_be_answered_is_told_in_json(
    method: str, path: str, body: bytes | None, status: int, message: str, faulty: Served
) -> None:
    found, headers, answer = faulty.ask(method, path, body)
    assert (found, headers["Content-Type"]) == (status, "application/json")
    assert message in answer["error"] and answer.keys() == {"error"}
    assert "Access-Control-Allow-Origin" not in headers
    assert status != 405 or headers["Allow"]


def test_a_body_is_read_no_further_than_it_may_be_long(faulty: Served) -> None:
    """Neither one that says its length nor one that comes in chunks without end."""
    for headers in (b"Content-Length: 10000000000\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", faulty.port), timeout=60) as connection:
            connection.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\n" + headers)
            if b"chunked" in headers:
                connection.sendall(b"400\r\n" + b" " * 1024 + b"\r\n" + b"400\r\n" + b" " * 1024 + b"\r\n")
            assert connection.recv(1000).startswith(b"HTTP/1.1 413 ")
    assert faulty.predict(inputs="fine")


def test_what_is_not_http_does_no_harm(faulty: Served) -> None:
    for content in (
        b"\x16\x03\x01\x02\x00",
        b"POST /predict HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/9\r\n\r\n",
    ):
        with socket.create_connection(("127.0.0.1", faulty.port), timeout=60) as connection:
            connection.sendall(content + b"\r\n\r\n")
            assert connection.recv(1000).startswith(b"HTTP/1.1 400 ")
    assert faulty.predict(inputs="fine")


# Faults


@pytest.mark.parametrize(("text", "name"), [("FAULT", "RuntimeError: a tensor has the"), ("PANIC", "Panic: index out")])
def test_a_text_that_fails_gets_500_and_no_other_does(text: str, name: str, faulty: Served) -> None:
    with ThreadPoolExecutor(8) as pool:
        texts = ["the order", text, "paris", text, "my team", "never", "great", text]
        asked = [json.dumps({"inputs": each}).encode() for each in texts]
        answers = [*pool.map(lambda body: faulty.ask("POST", "/predict", body), asked)]
    for each, (status, _, answer) in zip(texts, answers, strict=True):
        if each == text:
            assert status == 500
            assert (
                answer["error"].startswith(f"the model fails for these inputs ({name}") and "\n" not in answer["error"]
            )
        else:
            assert status == 200 and answer[0]["label"] in ("pos", "neg")


@contextmanager
def waiting(server: Served, root: Path) -> Iterator[ThreadPoolExecutor]:
    """Threads for requests, while the model waits in a call until there is a file `go`."""
    for name in ("go", "waits"):
        (root / name).unlink(missing_ok=True)
    with ThreadPoolExecutor(8) as pool:
        pool.submit(server.ask, "POST", "/predict", b'{"inputs": "WAIT"}')
        while not (root / "waits").exists():
            time.sleep(0.01)
        try:
            yield pool
        finally:
            (root / "go").touch()


def test_a_full_queue_is_told_and_empties(faulty: Served, exported_runs: Mapping[str, Path]) -> None:
    root = exported_runs["text"]
    with waiting(faulty, root) as pool:
        eight = json.dumps({"inputs": ["great"] * 8}).encode()
        first, second = (pool.submit(faulty.ask, "POST", "/predict", eight) for _ in range(2))
        refused = next(as_completed([first, second]))
        status, headers, answer = refused.result(60)
        assert (status, headers["Retry-After"]) == (503, "1") and "too many texts wait" in answer["error"]
        assert faulty.ask("GET", "/health")[0] == 200
        (root / "go").touch()
        accepted = second if refused is first else first
        assert accepted.result(60)[0] == 200
    assert faulty.predict(inputs=["great"] * 8)


def test_clients_that_hang_up_take_no_room_and_do_no_harm(faulty: Served, exported_runs: Mapping[str, Path]) -> None:
    """At any point: in the middle of a body, before the answer, and rudely."""
    root = exported_runs["text"]
    whole = json.dumps({"inputs": ["great"] * 8}).encode()
    head = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(whole)
    with waiting(faulty, root):
        for sent in (head[:20], head, head + whole[:30], head + whole, head + whole, head + whole):
            connection = socket.create_connection(("127.0.0.1", faulty.port), timeout=60)
            connection.sendall(sent)
            time.sleep(0.05)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()
        (root / "go").touch()
    assert faulty.predict(inputs=["great"] * 8)


def test_a_signal_ends_the_server_once_what_it_accepted_is_answered(exported_runs: Mapping[str, Path]) -> None:
    root = exported_runs["text"]
    with served(root, *EXACT, module="tests.support.faulty_server") as server, waiting(server, root) as pool:
        idle = server.connection()
        idle.request("GET", "/health")
        assert answer_of(idle)[0] == 200
        under_way = [pool.submit(server.ask, "POST", "/predict", b'{"inputs": "paris"}') for _ in range(5)]
        connected = [pool.submit(server.ask, "GET", "/health") for _ in range(2)]
        assert all(each.result(60)[0] == 200 for each in connected)  # what came before is accepted
        server.process.send_signal(signal.SIGTERM)
        while True:
            try:
                socket.create_connection(("127.0.0.1", server.port), timeout=60).close()
            except ConnectionRefusedError:
                break
            time.sleep(0.01)
        idle.close()
        assert server.process.poll() is None
        (root / "go").touch()
        assert [each.result(60)[0] for each in under_way] == [200] * 5
        assert server.process.wait(60) == 0
        assert server.process.stderr is not None and server.process.stderr.read() == ""


def test_a_server_that_can_not_finish_in_time_says_so(exported_runs: Mapping[str, Path]) -> None:
    root = exported_runs["text"]
    with served(root, *EXACT, "--stop-within", "1", module="tests.support.faulty_server") as server:
        with waiting(server, root) as pool:
            under_way = pool.submit(server.ask, "POST", "/predict", b'{"inputs": "paris"}')
            half = socket.create_connection(("127.0.0.1", server.port), timeout=60)
            half.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
            assert server.ask("GET", "/health")[0] == 200
            status, errors = server.stop()
            assert under_way.result(60)[0] == 503
            assert half.recv(1000).startswith(b"HTTP/1.1 503 ")
            half.close()
        assert status == 1
        assert errors.splitlines()[-1] == "error: not all requests were answered within 1 seconds"
        assert "Traceback" not in errors


def test_ctrl_c_ends_an_idle_server_at_once(exported_runs: Mapping[str, Path]) -> None:
    with served(exported_runs["text"], *EXACT) as server:
        assert server.stop(signal.SIGINT) == (0, "")


# Starting


def test_what_keeps_it_from_starting_is_one_line(exported_runs: Mapping[str, Path], tmp_path: Path) -> None:
    root = exported_runs["text"]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert "can't listen there (Address already in use); choose another --port" in asked_to_start(
            root, "--port", port
        )
    for arguments, expected in {
        ("--host", "no.such.host.invalid"): "--host no.such.host.invalid --port 8000: can't listen there",
        ("--max-waiting", "3"): "--max-waiting 3: is less than --max-texts 128",
        ("--port", "0", "--model", "data/raw"): "has no prediction_settings.json",
        ("--port", "0", "--runtime", "int8"): "has no model_int8.onnx",
    }.items():
        assert expected in asked_to_start(root, *arguments), arguments
    assert "there is no exported model here; make one with `stagewright run`" in asked_to_start(tmp_path)
    without = "import sys; sys.modules['uvicorn'] = None; from stages.serve.__main__ import main; main()"
    assert asked_to_start(root, program=without) == (
        "error: the server needs uvicorn; install with: pip install --constraint constraints.txt 'stagewright[serve]'"
    )


# The page


def page_after(server: Served, **fields: str) -> str:
    """The page once it has sent a form with these fields."""
    fragment = "&".join(f"{name}={quote(value)}" for name, value in fields.items())
    document, log = visited(f"{server.address}/#{fragment}", "--virtual-time-budget=10000")
    assert not log, log
    return document


def test_the_page_shows_the_labels_of_a_text(serve: Serve) -> None:
    document = page_after(serve("text"), text=SHORT[0])
    (answer,) = serve("text").predict(inputs=SHORT[0])
    assert re.search(rf'<li class="decided"><span>{answer["label"]} ✓</span>', document)
    assert f"{100 * answer['score']:.1f} %" in document and re.search(r'<p id="error"[^>]* hidden=""></p>', document)


def test_the_page_shows_entities_and_runs_nothing_of_a_text(serve: Serve) -> None:
    text = "👩‍👩‍👧 <img src=x onerror=\"document.title='run'\"> was in paris & <script>document.title='run'</script>"
    document = page_after(serve("tokens"), text=text)
    entities = serve("tokens").predict(inputs=text)
    assert entities and "<title>Try the model</title>" in document
    assert "<img" not in document and document.count("<script") == 1
    shown = re.search(r'<p class="marked">(.*?)</p>', document, re.DOTALL)
    assert shown is not None
    marks = re.findall(r'<mark class="type-\d">(.*?)<small>(.*?)</small></mark>', shown[1])
    escaped = [each["word"].replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;") for each in entities]
    assert marks == [(word, each["entity_group"]) for word, each in zip(escaped, entities, strict=True)]


def test_the_page_shows_a_number_and_an_error(serve: Serve, faulty: Served) -> None:
    (answer,) = serve("regression").predict(inputs=SHORT[0])
    value = re.search(r'<p class="value">(.*?)</p>', page_after(serve("regression"), text=SHORT[0]))
    assert value is not None and float(value[1]) == pytest.approx(answer["score"], abs=1e-5)
    document, _ = visited(f"{faulty.address}/#text=FAULT", "--virtual-time-budget=10000")
    assert re.search(r'<p id="error" role="alert">the model fails for these inputs \(RuntimeError', document)


def test_every_file_of_the_page_is_served_and_no_other_is_allowed(serve: Serve) -> None:
    status, headers, content = serve("text").ask("GET", "/")
    assert status == 200 and "default-src 'none'" in headers["Content-Security-Policy"]
    for name in re.findall(r'(?:src|href)="([^"]*)"', content.decode()):
        if name != "data:,":
            assert serve("text").ask("GET", f"/{name}")[0] == 200
