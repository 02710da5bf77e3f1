#!/usr/bin/python3
"""Records the very bytes that people's clients send: record.py. A listener takes them; each client is run as its user would run it.

NAME.http is what came over the connection, head and body; cases.json says of each which client sent it and what the server is to answer. What is sent is
photo.jpg, the bundled sample at 96 pixels, small so that these files are. Last run with curl 7.88.1, Wget 1.21.3, Python 3.11.2 (http.client, urllib) with
requests 2.28.1 and urllib3 1.26.12, httpx 0.23.3, aiohttp 3.8.4, HTTPie 3.2.1, Perl's LWP 6.68, Ruby 3.1.2, PHP 8.2.36, Node 20.20.2 (fetch is undici),
OpenJDK 17.0.15 and Chromium 156, all but Node of Debian 12; from npm axios 1.21.1, form-data 4.0.6, node-fetch 3.3.2, superagent 10.4.2 and got 14.6.6.
record.py NAME … records only those whose names begin so.
"""
import base64
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import zlib

import requests

HERE = os.path.dirname(os.path.abspath(__file__))
WORK = tempfile.mkdtemp()
ONLY = tuple(sys.argv[1:])
CASES, SENT = [], []


# The listener ------------------------------------------------------------------------------------------------------------------------------------

def receive(connection):
    """One request as bytes, whole: its length is said, or it comes in chunks."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            return None
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    fields = {name.strip().lower(): value.strip() for name, _, value in (line.partition(b":") for line in head.split(b"\r\n")[1:])}
    if fields.get(b"expect", b"").lower() == b"100-continue":
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    chunked = fields.get(b"transfer-encoding") == b"chunked"
    length = int(fields.get(b"content-length", 0))
    while not body.endswith(b"0\r\n\r\n") if chunked else len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def serve(connection):
    with connection:
        while (request := receive(connection)) is not None:
            path = request.split(b" ")[1]
            if path == b"/page":
                answer = b"<!doctype html><title>-</title><body><script>" + PAGE.encode() + b"</script>"
                kind = b"text/html"
            elif path == b"/photo.jpg":
                answer, kind = PHOTO, b"image/jpeg"
            elif path == b"/favicon.ico":
                answer, kind = b"", b"image/x-icon"
            else:
                SENT.append(request)
                answer, kind = b"{}", b"application/json"
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s"
                               % (kind, len(answer), b"" if request.startswith(b"HEAD") else answer))
            if b"\r\nconnection: close" in request.lower():
                return


def listen():
    while True:
        connection, _ = LISTENER.accept()
        threading.Thread(target=serve, args=(connection,), daemon=True).start()


LISTENER = socket.create_server(("127.0.0.1", 0))
threading.Thread(target=listen, daemon=True).start()
SERVER = f"http://127.0.0.1:{LISTENER.getsockname()[1]}"
URL = SERVER + "/predict"

# What is sent ------------------------------------------------------------------------------------------------------------------------------------

os.chdir(WORK)
photo = os.path.join(HERE, "photo.jpg")
if not os.path.exists(photo):
    from PIL import Image
    Image.open(os.path.join(HERE, "../../../models/grocery/sample.png")).convert("RGB").resize((96, 96), Image.LANCZOS).save(photo, quality=85)
shutil.copy(photo, WORK)
PHOTO = open("photo.jpg", "rb").read()
BASE64 = base64.b64encode(PHOTO).decode()
JSON = json.dumps({"image": BASE64})
for name, content in (
        ("photo.json", JSON.encode()), ("bom.json", b"\xef\xbb\xbf" + JSON.encode()), ("photo.b64", BASE64.encode()),
        ("lines.b64", base64.encodebytes(PHOTO)), ("empty.jpg", b""), ("Foto Äpfel.jpg", PHOTO), ("photo.z", zlib.compress(PHOTO)),
        ("unpadded.json", json.dumps({"image": BASE64.rstrip("=")}).encode()),
        ("urlsafe.json", json.dumps({"image": base64.urlsafe_b64encode(PHOTO).decode()}).encode()),
        ("lines.json", json.dumps({"image": base64.encodebytes(PHOTO).decode()}).encode()),
        ("data-url.json", json.dumps({"image": "DATA:IMAGE/JPEG;BASE64," + BASE64}).encode())):
    with open(name, "wb") as out:
        out.write(content)
subprocess.run(["gzip", "-k", "photo.jpg"], check=True)
subprocess.run(["zstd", "-q", "photo.jpg"], check=True)


def record(name, client, run, status=200, code=None, sentence=None, warning=None):
    if ONLY and not name.startswith(ONLY):
        return
    before = len(SENT)
    if callable(run):
        run()
    else:
        subprocess.run(run, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=120)
    if len(SENT) != before + 1:
        sys.exit(f"{name}: {len(SENT) - before} requests came")
    keep(name, client, SENT[-1], status, code, sentence, warning)


def keep(name, client, request, status=200, code=None, sentence=None, warning=None):
    if ONLY and not name.startswith(ONLY):
        return
    with open(os.path.join(HERE, name + ".http"), "wb") as out:
        out.write(request)
    entry = {"name": name, "client": client, "status": status, "code": code, "sentence": sentence, "warning": warning}
    CASES.append({key: value for key, value in entry.items() if value is not None})


def curl(name, *arguments, url=URL, **expected):
    shown = " ".join(f"'{argument}'" if " " in argument else argument for argument in arguments)
    record(name, "curl " + (shown if len(shown) < 90 else shown[:60] + "…"), ["curl", "-s", "-m", "60", *arguments, url], **expected)


def ask(name, shown, **arguments):
    expected = {key: arguments.pop(key) for key in ("status", "code", "sentence", "warning") if key in arguments}
    method = arguments.pop("method", "POST")
    path = arguments.pop("path", "/predict")
    record(name, shown, lambda: requests.request(method, SERVER + path, timeout=60, **arguments), **expected)


def mistake(code, sentence):
    return {"status": 400, "code": code, "sentence": sentence}


# JSON, whatever its type; base64 in all its forms -------------------------------------------------------------------------------------------------

curl("curl-json-d", "-d", "@photo.json")
curl("curl-json-text", "-H", "Content-Type: text/plain", "-d", "@photo.json")
curl("curl-json-no-type", "-H", "Content-Type:", "-d", "@photo.json")
curl("curl-json", "--json", "@photo.json")
curl("curl-json-bom", "-H", "Content-Type: application/json", "--data-binary", "@bom.json")
curl("curl-json-bom-no-type", "-H", "Content-Type:", "--data-binary", "@bom.json")
for form in ("unpadded", "urlsafe", "lines", "data-url"):
    curl("curl-json-" + form, "-H", "Content-Type: application/json", "--data-binary", f"@{form}.json")
curl("curl-base64", "-d", "@photo.b64")
curl("curl-base64-lines", "--data-binary", "@lines.b64")
curl("curl-urlencode", "--data-urlencode", "image@photo.b64")
curl("curl-urlencode-photo", "--data-urlencode", "image@photo.jpg")
curl("curl-plus", "-d", "image=" + BASE64, **mistake("base64-plus-became-space", "--data-urlencode"))
curl("curl-form-base64", "-F", "image=<photo.b64")
curl("curl-form-base64-type", "-F", "image=<photo.b64;type=text/plain")
ask("requests-json", "requests.post(url, json={'image': …})", json={"image": BASE64})
ask("requests-dumps", "requests.post(url, data=json.dumps(…))", data=JSON)
ask("requests-form-base64", "requests.post(url, data={'image': …})", data={"image": BASE64, "topK": 5})
ask("requests-base64", "requests.post(url, data=base64)", data=BASE64)

# Pictures as they are, and forms ------------------------------------------------------------------------------------------------------------------

curl("curl-data-binary", "--data-binary", "@photo.jpg")
curl("curl-put", "-T", "photo.jpg")
curl("curl-chunked", "-H", "Transfer-Encoding: chunked", "--data-binary", "@photo.jpg")
curl("curl-pipe", "-X", "POST", "-T", "photo.jpg", "-H", "Transfer-Encoding: chunked")
curl("curl-form", "-F", "file=@photo.jpg")
curl("curl-form-name", "-F", "file=@Foto Äpfel.jpg")
curl("curl-form-no-name", "-F", "file=<photo.jpg")
curl("curl-form-fields", "-F", "file=@photo.jpg", "-F", "topK=5", "-F", "model=grocery", "-F", "explain=false")
curl("curl-form-unknown", "-F", "file=@photo.jpg", "-F", "tok=5", warning="unknown-field")
curl("curl-form-empty-beside", "-F", "first=@empty.jpg;filename=", "-F", "file=@photo.jpg")
curl("curl-form-expect", "-H", "Expect: 100-continue", "-F", "file=@photo.jpg")
curl("curl-http10", "--http1.0", "--data-binary", "@photo.jpg")
curl("curl-multipart-raw", "-H", "Content-Type: multipart/form-data", "--data-binary", "@photo.jpg")
curl("curl-wrong-boundary", "-H", "Content-Type: multipart/form-data; boundary=another", "-F", "file=@photo.jpg")
curl("curl-form-file-name", "-F", "file=photo.jpg", **mistake("file-name-instead-of-file", "-F file=@photo.jpg"))
curl("curl-binary-file-name", "--data-binary", "photo.jpg", **mistake("file-name-instead-of-file", "--data-binary @photo.jpg"))
curl("curl-d-photo", "-d", "@photo.jpg", **mistake("line-breaks-lost", "--data-binary"))
curl("curl-nothing", "-X", "POST", **mistake("no-picture", ""))
ask("requests-files", "requests.post(url, files={'file': open(…)})", files={"file": open("photo.jpg", "rb")})
ask("requests-files-data", "requests.post(url, files=…, data={'topK': 5})", files={"file": open("photo.jpg", "rb")}, data={"topK": 5})
ask("requests-files-bytes", "requests.post(url, files={'file': data})", files={"file": PHOTO})
ask("requests-no-boundary", "requests.post(url, files=…, headers={'Content-Type': 'multipart/form-data'})", files={"file": open("photo.jpg", "rb")},
    headers={"Content-Type": "multipart/form-data"})
ask("requests-json-type", "requests.post(url, files=…, headers={'Content-Type': 'application/json'})", files={"file": open("photo.jpg", "rb")},
    headers={"Content-Type": "application/json"})
ask("requests-data", "requests.post(url, data=open(…))", data=open("photo.jpg", "rb"))
ask("requests-generator", "requests.post(url, data=a generator)", data=iter([PHOTO[:1000], PHOTO[1000:]]))
ask("requests-file-name", "requests.post(url, data='photo.jpg')", data="photo.jpg", **mistake("file-name-instead-of-file", "--data-binary @photo.jpg"))
ask("requests-files-text", "requests.post(url, files={'file': 'photo.jpg'})", files={"file": "photo.jpg"},
    **mistake("file-name-instead-of-file", "-F file=@photo.jpg"))


def http_client(body, headers):
    import http.client
    connection = http.client.HTTPConnection(SERVER[7:])
    connection.request("POST", "/predict", body, headers)
    connection.getresponse().read()


record("http-client", "http.client, bytes", lambda: http_client(PHOTO, {}))
record("http-client-file", "http.client, a file", lambda: http_client(open("photo.jpg", "rb"), {}))
record("http-client-json", "http.client, JSON without a type", lambda: http_client(JSON, {}))
record("http-client-part", "http.client, a part with neither name nor type", lambda: http_client(
    b"--x\r\n\r\n" + PHOTO + b"\r\n--x--\r\n", {"Content-Type": "multipart/mixed; boundary=x"}))


def urllib_request(body):
    import urllib.request
    urllib.request.urlopen(urllib.request.Request(URL, data=body)).read()


record("urllib", "urllib.request", lambda: urllib_request(PHOTO))

# Packed bodies -----------------------------------------------------------------------------------------------------------------------------------

curl("curl-gzip", "-H", "Content-Encoding: gzip", "--data-binary", "@photo.jpg.gz")
curl("curl-deflate", "-H", "Content-Encoding: deflate", "--data-binary", "@photo.z")
curl("curl-zstd", "-H", "Content-Encoding: zstd", "--data-binary", "@photo.jpg.zst", status=415, code="unsupported-content-encoding", sentence="zstd")
curl("curl-gzip-without-saying", "--data-binary", "@photo.jpg.gz", status=415, code="unsupported-image", sentence="a gzip archive")

# Other services' shapes, routes, methods ------------------------------------------------------------------------------------------------------------

for name, shape in (("image-b64", {"image": {"b64": BASE64}}), ("instances", {"instances": [{"b64": BASE64}]}), ("inputs", {"inputs": BASE64}),
                    ("data", {"data": [BASE64]})):
    ask("requests-shape-" + name, f"requests.post(url, json={{'{next(iter(shape))}': …}})", json=shape, **mistake("json-shape", '{"image":"'))
ask("requests-wrong-route", "requests.post(…/classify)", path="/classify", data=PHOTO, status=404, code="route-not-found", sentence="POST /predict")
ask("requests-get", "requests.get(…/predict)", method="GET", status=405, code="method-not-allowed", sentence="POST")
ask("requests-delete", "requests.delete(…/predict)", method="DELETE", status=405, code="method-not-allowed", sentence="POST")
curl("curl-head", "-I", url=SERVER + "/models")

# Wget, Java --------------------------------------------------------------------------------------------------------------------------------------

record("wget", "wget --post-file=photo.jpg", ["wget", "-q", "-O-", "--post-file=photo.jpg", URL])
record("wget-put", "wget --method=PUT --body-file=photo.jpg", ["wget", "-q", "-O-", "--method=PUT", "--body-file=photo.jpg", URL])
record("wget-file-name", "wget --post-data=photo.jpg", ["wget", "-q", "-O-", "--post-data=photo.jpg", URL],
       **mistake("file-name-instead-of-file", "photo.jpg"))
with open("Ask.java", "w") as out:
    out.write("""
import java.net.URI; import java.net.http.*; import java.nio.file.Path;
class Ask { public static void main(String[] a) throws Exception {
    HttpClient.newHttpClient().send(HttpRequest.newBuilder(URI.create(a[0])).POST(HttpRequest.BodyPublishers.ofFile(Path.of("photo.jpg"))).build(),
        HttpResponse.BodyHandlers.discarding()); } }
""")
record("java", "Java's HttpClient, which offers HTTP/2 (h2c)", ["java", "Ask.java", URL])

# Node --------------------------------------------------------------------------------------------------------------------------------------------

NODE = "import { readFileSync, openAsBlob } from 'node:fs'; import http from 'node:http'; import zlib from 'node:zlib'; " \
       "const [url, base64] = process.argv.slice(1); const photo = readFileSync('photo.jpg');" \
       "const form = (...fields) => { const f = new FormData(); fields.forEach((field) => f.append(...field)); return f; };"


def node(name, shown, script, **expected):
    record(name, shown, ["node", "--input-type=module", "-e", NODE + script, URL, BASE64], **expected)


node("node-json", "Node's fetch, JSON.stringify", "await fetch(url, { method: 'POST', body: JSON.stringify({ image: base64 }) })")
node("node-json-type", "Node's fetch, JSON with its type",
     "await fetch(url, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ image: base64, topK: 5 }) })")
node("node-bytes", "Node's fetch, a Buffer", "await fetch(url, { method: 'POST', body: photo })")
node("node-blob", "Node's fetch, openAsBlob", "await fetch(url, { method: 'POST', body: await openAsBlob('photo.jpg') })")
node("node-stream", "Node's fetch, a stream", "await fetch(url, { method: 'POST', body: (await openAsBlob('photo.jpg')).stream(), duplex: 'half' })")
node("node-form", "Node's FormData", "await fetch(url, { method: 'POST', body: form(['file', new Blob([photo])], ['topK', '5']) })")
node("node-form-no-boundary", "Node's FormData, Content-Type set by hand",
     "await fetch(url, { method: 'POST', headers: { 'Content-Type': 'multipart/form-data' }, body: form(['file', new Blob([photo]), 'photo.jpg']) })")
node("node-form-base64", "Node's FormData, base64", "await fetch(url, { method: 'POST', body: form(['image', base64]) })")
node("node-params", "Node's URLSearchParams", "await fetch(url, { method: 'POST', body: new URLSearchParams({ image: base64, topK: '5' }) })")
node("node-brotli", "Node's fetch, brotli",
     "await fetch(url, { method: 'POST', headers: { 'Content-Encoding': 'br' }, body: zlib.brotliCompressSync(photo) })")
node("node-bomb", "Node's fetch, 300 MB of zeros as brotli", "await fetch(url, { method: 'POST', headers: { 'Content-Encoding': 'br' }, "
     "body: zlib.brotliCompressSync(Buffer.alloc(300e6), { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: 4 } }) })",
     status=413, code="file-too-large", sentence="67,108,864 bytes")
node("node-path", "Node's fetch, the file's name", "await fetch(url, { method: 'POST', body: 'photo.jpg' })",
     **mistake("file-name-instead-of-file", "photo.jpg"))
node("node-http", "Node's http.request", "await new Promise((done) => http.request(url, { method: 'POST' }, (r) => r.resume().on('end', done)).end(photo))")

# From npm ----------------------------------------------------------------------------------------------------------------------------------------

PACKAGES = ["axios@1.21.1", "form-data@4.0.6", "node-fetch@3.3.2", "superagent@10.4.2", "got@14.6.6"]


def npm(name, shown, script, **expected):
    if not os.path.exists("node_modules"):
        subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--silent", *PACKAGES], check=True)
    with open("ask.mjs", "w") as out:
        out.write("import { readFileSync, createReadStream } from 'node:fs'; const url = process.argv[2]; const photo = readFileSync('photo.jpg');"
                  "const base64 = photo.toString('base64');" + script)
    record(name, shown, ["node", "ask.mjs", URL], **expected)


axios = "import axios from 'axios'; import FormData from 'form-data'; "
stream = "const f = new FormData(); f.append('file', createReadStream('photo.jpg')); "
npm("axios-form-data", "axios with form-data, a stream", axios + stream + "await axios.post(url, f)")
npm("axios-form-data-headers", "axios with form-data, getHeaders()", axios + stream + "await axios.post(url, f, { headers: f.getHeaders() })")
npm("axios-form-data-type", "axios with form-data, Content-Type set by hand",
    axios + stream + "await axios.post(url, f, { headers: { 'Content-Type': 'multipart/form-data' } })")
npm("axios-post-form", "axios.postForm", axios + "await axios.postForm(url, { file: createReadStream('photo.jpg'), topK: 5 })")
npm("axios-buffer", "axios with a Buffer", axios + "await axios.post(url, photo)")
npm("axios-stream", "axios with a stream", axios + "await axios.post(url, createReadStream('photo.jpg'))")
npm("axios-json", "axios with JSON", axios + "await axios.post(url, { image: base64, topK: 5 })")
npm("axios-params", "axios with URLSearchParams", axios + "await axios.post(url, new URLSearchParams({ image: base64 }))")
npm("node-fetch-form-data", "node-fetch with form-data", "import fetch from 'node-fetch'; import FormData from 'form-data'; " + stream
    + "await fetch(url, { method: 'POST', body: f })")
npm("form-data-submit", "form-data's submit", "import FormData from 'form-data'; " + stream
    + "await new Promise((done) => f.submit(url, (error, answer) => answer.resume().on('end', done)))")
npm("superagent-attach", "superagent's attach", "import superagent from 'superagent'; await superagent.post(url).attach('file', 'photo.jpg')")
npm("superagent-send", "superagent's send with a Buffer", "import superagent from 'superagent'; await superagent.post(url).send(photo)")
npm("got-body", "got with a Buffer", "import got from 'got'; await got.post(url, { body: photo })")
npm("got-json", "got with JSON", "import got from 'got'; await got.post(url, { json: { image: base64 } })")

# HTTPie, httpx, aiohttp -----------------------------------------------------------------------------------------------------------------------------


def httpie(name, *arguments, given=None, **expected):
    def run():
        with open(given or os.devnull, "rb") as standard_input:
            subprocess.run(["http", *([] if given else ["--ignore-stdin"]), *arguments], stdin=standard_input, stdout=subprocess.DEVNULL, check=False)

    shown = " ".join("url" if argument == URL else argument if len(argument) < 60 else argument[:20] + "…" for argument in arguments)
    record(name, f"http {shown}" + (f" < {given}" if given else ""), run, **expected)


httpie("httpie-form", "--form", "POST", URL, "file@photo.jpg", "topK=5")
httpie("httpie-multipart", "--multipart", URL, "file@photo.jpg")
httpie("httpie-type", "--form", "POST", URL, "file@photo.jpg;type=image/jpeg")
httpie("httpie-raw", "POST", URL, given="photo.jpg")
httpie("httpie-at", "POST", URL, "@photo.jpg")
httpie("httpie-chunked", "--chunked", "POST", URL, "@photo.jpg")
httpie("httpie-compress", "--compress", "--compress", "POST", URL, "@photo.jpg")
httpie("httpie-json", "POST", URL, "image=" + BASE64)
httpie("httpie-json-file", "POST", URL, "image=@photo.b64")
httpie("httpie-form-base64", "--form", "POST", URL, "image=" + BASE64)
httpie("httpie-file-name", "--form", "POST", URL, "file=photo.jpg", **mistake("file-name-instead-of-file", "photo.jpg"))


def with_httpx(**arguments):
    import httpx
    httpx.post(URL, timeout=60, **arguments)


record("httpx-files", "httpx.post(url, files=…)", lambda: with_httpx(files={"file": open("photo.jpg", "rb")}, data={"topK": "5"}))
record("httpx-content", "httpx.post(url, content=bytes)", lambda: with_httpx(content=PHOTO))
record("httpx-stream", "httpx.post(url, content=a generator)", lambda: with_httpx(content=iter([PHOTO[:1000], PHOTO[1000:]])))
record("httpx-json", "httpx.post(url, json=…)", lambda: with_httpx(json={"image": BASE64}))


def with_aiohttp(body):
    import aiohttp
    import asyncio

    async def ask_it():
        async with aiohttp.ClientSession() as session:
            async with session.post(URL, **body(aiohttp)) as answer:
                await answer.read()

    asyncio.run(ask_it())


def form_of_aiohttp(aiohttp):
    form = aiohttp.FormData()
    form.add_field("file", open("photo.jpg", "rb"), filename="photo.jpg", content_type="image/jpeg")
    form.add_field("topK", "5")
    return {"data": form}


record("aiohttp-form", "aiohttp's FormData", lambda: with_aiohttp(form_of_aiohttp))
record("aiohttp-dict", "aiohttp, data={'file': open(…)}", lambda: with_aiohttp(lambda _: {"data": {"file": open("photo.jpg", "rb")}}))
record("aiohttp-bytes", "aiohttp, data=bytes", lambda: with_aiohttp(lambda _: {"data": PHOTO}))
record("aiohttp-file", "aiohttp, data=open(…)", lambda: with_aiohttp(lambda _: {"data": open("photo.jpg", "rb")}))
record("aiohttp-json", "aiohttp, json=…", lambda: with_aiohttp(lambda _: {"json": {"image": BASE64}}))

# Perl, Ruby, PHP --------------------------------------------------------------------------------------------------------------------------------

record("perl-form", "Perl's LWP, form-data", ["perl", "-MLWP::UserAgent", "-e", "LWP::UserAgent->new->post($ARGV[0], Content_Type => 'form-data', "
                                             "Content => [file => ['photo.jpg'], topK => 5])", URL])
record("perl-raw", "Perl's LWP, bytes", ["perl", "-MLWP::UserAgent", "-e", "open F, '<:raw', 'photo.jpg'; local $/; "
                                         "LWP::UserAgent->new->post($ARGV[0], Content => <F>)", URL])
RUBY = "require 'net/http'; uri = URI(ARGV[0]); ask = Net::HTTP::Post.new(uri); %s; Net::HTTP.start(uri.host, uri.port) { |http| http.request(ask) }"
record("ruby-form", "Ruby's set_form", ["ruby", "-e", RUBY % "ask.set_form([['file', File.open('photo.jpg')], ['topK', '5']], 'multipart/form-data')", URL])
record("ruby-body", "Ruby's body", ["ruby", "-e", RUBY % "ask.body = File.binread('photo.jpg')", URL])
record("ruby-stream", "Ruby's body_stream", ["ruby", "-e", RUBY % "ask.body_stream = File.open('photo.jpg', 'rb'); ask['Transfer-Encoding'] = 'chunked'", URL])
record("ruby-form-data", "Ruby's set_form_data, base64", ["ruby", "-e", RUBY % "ask.set_form_data('image' => [File.binread('photo.jpg')].pack('m'))", URL])
PHP = "@file_get_contents($argv[1], false, stream_context_create(['http' => ['method' => 'POST', 'header' => $h, 'content' => $c]]));"
record("php-stream", "PHP's file_get_contents, no type", ["php", "-r", "$h = ''; $c = file_get_contents('photo.jpg');" + PHP, URL])
record("php-form", "PHP's file_get_contents, a form made by hand", [
    "php", "-r", "$b = '--------------------------' . microtime(true); $h = 'Content-Type: multipart/form-data; boundary=' . $b; "
    "$c = '--' . $b . \"\\r\\nContent-Disposition: form-data; name=\\\"file\\\"; filename=\\\"photo.jpg\\\"\\r\\nContent-Type: application/zip\\r\\n\\r\\n\" "
    ". file_get_contents('photo.jpg') . \"\\r\\n--\" . $b . \"--\\r\\n\";" + PHP, URL])
record("php-query", "PHP's http_build_query, base64", [
    "php", "-r", "$h = 'Content-type: application/x-www-form-urlencoded'; $c = http_build_query(['image' => base64_encode(file_get_contents('photo.jpg'))]);"
    + PHP, URL])

# As their sources have it: what runs on no machine of ours -----------------------------------------------------------------------------------------


def written(name, client, head, body, chunked=False, **expected):
    length = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % len(body)
    sent = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) if chunked else body
    keep(name, client, b"POST /predict HTTP/1.1\r\n" + head.replace("\n", "\r\n").encode() + b"\r\n" + length + b"\r\n\r\n" + sent, **expected)


def part(boundary, head, data=PHOTO, end=True):
    return b"--" + boundary.encode() + b"\r\n" + head.replace("\n", "\r\n").encode() + b"\r\n\r\n" + data + (
        b"\r\n--" + boundary.encode() + b"--\r\n" if end else b"\r\n")


# System.Net.Http, MultipartContent.cs: the boundary is quoted; ContentDispositionHeaderValue quotes what is no token, and adds filename* beside a name.
guid = "8c4b1b0e-4c5e-4c7a-9d0f-3f2f8b0d7a61"
written("powershell-form", "PowerShell's Invoke-RestMethod -Form (WebRequestPSCmdlet.Common.cs)",
        f'Host: localhost:8080\nUser-Agent: Mozilla/5.0 (Windows NT 10.0; Microsoft Windows 10.0.22631; en-US) PowerShell/7.4.6\n'
        f'Content-Type: multipart/form-data; boundary="{guid}"',
        part(guid, "Content-Disposition: form-data; name=topK", b"5", end=False)
        + part(guid, "Content-Disposition: form-data; name=file; filename=photo.jpg; filename*=utf-8''photo.jpg\nContent-Type: application/octet-stream"))
written("powershell-in-file", "PowerShell's Invoke-RestMethod -InFile",
        "Host: localhost:8080\nUser-Agent: Mozilla/5.0 (Windows NT 10.0; Microsoft Windows 10.0.22631; en-US) PowerShell/7.4.6\n"
        "Content-Type: application/x-www-form-urlencoded", PHOTO)
written("powershell-5", "Windows PowerShell 5.1's Invoke-WebRequest -InFile",
        "User-Agent: Mozilla/5.0 (Windows NT; Windows NT 10.0; de-DE) WindowsPowerShell/5.1.22621.4391\nContent-Type: application/x-www-form-urlencoded\n"
        "Host: localhost:8080\nExpect: 100-continue\nConnection: Keep-Alive", PHOTO)
written("dotnet-form", ".NET's MultipartFormDataContent", f'Host: localhost:8080\nContent-Type: multipart/form-data; boundary="{guid}"',
        part(guid, "Content-Type: image/jpeg\nContent-Disposition: form-data; name=file; filename=photo.jpg; filename*=utf-8''photo.jpg"))
written("dotnet-form-name", ".NET's MultipartFormDataContent, a name with an umlaut",
        f'Host: localhost:8080\nContent-Type: multipart/form-data; boundary="{guid}"',
        part(guid, "Content-Disposition: form-data; name=file; filename=\"=?utf-8?B?w4RwZmVsLmpwZw==?=\"; filename*=utf-8''%C3%84pfel.jpg"))
written("restsharp", "RestSharp's AddFile",
        "Host: localhost:8080\nAccept: application/json, text/json, text/x-json, text/javascript, application/xml, text/xml\nUser-Agent: RestSharp/112.1.0.0\n"
        f"Accept-Encoding: gzip, deflate, br\nContent-Type: multipart/form-data; boundary=\"{guid}\"",
        part(guid, "Content-Type: application/octet-stream\nContent-Disposition: form-data; name=\"file\"; filename=\"photo.jpg\""))
# mime/multipart/writer.go: thirty random bytes as hex; net/http sends what comes from a pipe in chunks.
hexadecimal = "6a1a8a2be7a0d7f45b0d0a9a1d2c3b4f5e6d7c8b9a0f1e2d3c4b5a697887"
written("go-form", "Go's mime/multipart, CreateFormFile", "Host: localhost:8080\nUser-Agent: Go-http-client/1.1\n"
        f"Content-Type: multipart/form-data; boundary={hexadecimal}\nAccept-Encoding: gzip",
        part(hexadecimal, 'Content-Disposition: form-data; name="file"; filename="photo.jpg"\nContent-Type: application/octet-stream'))
written("go-pipe", "Go's mime/multipart through a pipe", "Host: localhost:8080\nUser-Agent: Go-http-client/1.1\n"
        f"Content-Type: multipart/form-data; boundary={hexadecimal}\nAccept-Encoding: gzip",
        part(hexadecimal, 'Content-Disposition: form-data; name="file"; filename="photo.jpg"\nContent-Type: application/octet-stream'), chunked=True)
written("go-post", "Go's http.Post", "Host: localhost:8080\nUser-Agent: Go-http-client/1.1\nContent-Type: image/jpeg\nAccept-Encoding: gzip", PHOTO, chunked=True)
postman = "--------------------------735323031399963166993862"
written("postman-form", "Postman, form-data", "User-Agent: PostmanRuntime/7.43.0\nAccept: */*\nCache-Control: no-cache\n"
        "Postman-Token: 1c5d2a10-93b8-4b1e-8f5e-6f6d1c0f5a11\nHost: localhost:8080\nAccept-Encoding: gzip, deflate, br\nConnection: keep-alive\n"
        f"Content-Type: multipart/form-data; boundary={postman}",
        part(postman, 'Content-Disposition: form-data; name="file"; filename="photo.jpg"\nContent-Type: image/jpeg'))
written("postman-binary", "Postman, binary", "Content-Type: image/jpeg\nUser-Agent: PostmanRuntime/7.43.0\nAccept: */*\nCache-Control: no-cache\n"
        "Postman-Token: 1c5d2a10-93b8-4b1e-8f5e-6f6d1c0f5a12\nHost: localhost:8080\nAccept-Encoding: gzip, deflate, br\nConnection: keep-alive", PHOTO)
written("postman-text", "Postman, form-data whose file is a text", "User-Agent: PostmanRuntime/7.43.0\nAccept: */*\nHost: localhost:8080\n"
        f"Accept-Encoding: gzip, deflate, br\nConnection: keep-alive\nContent-Type: multipart/form-data; boundary={postman}",
        part(postman, 'Content-Disposition: form-data; name="file"', b"photo.jpg"), **mistake("file-name-instead-of-file", "photo.jpg"))
# okhttp3.MultipartBody, before 5 with a length for each part.
written("okhttp", "OkHttp's MultipartBody", f"Content-Type: multipart/form-data; boundary={guid}\nHost: localhost:8080\nConnection: Keep-Alive\n"
        "Accept-Encoding: gzip\nUser-Agent: okhttp/4.12.0",
        part(guid, f'Content-Disposition: form-data; name="file"; filename="photo.jpg"\nContent-Type: image/jpeg\nContent-Length: {len(PHOTO)}'))
written("alamofire", "Alamofire's upload", "Host: localhost:8080\nContent-Type: multipart/form-data; boundary=alamofire.boundary.5c1d0d2b9e6a4f03\n"
        "Accept: */*\nUser-Agent: App/1.0 (com.example.App; build:1; iOS 18.1.0) Alamofire/5.10.2\nAccept-Language: en;q=1.0\n"
        "Accept-Encoding: br;q=1.0, gzip;q=0.9, deflate;q=0.8\nConnection: keep-alive",
        part("alamofire.boundary.5c1d0d2b9e6a4f03", 'Content-Disposition: form-data; name="file"; filename="photo.jpg"\nContent-Type: image/jpeg'))
dart = "dart-http-boundary-o2kCG0v.sXzaO5hDSVgO3KqQwR6wy8tXr1kzDN_eYQfP2oMnAqB"
written("dart", "Dart's http.MultipartRequest", "user-agent: Dart/3.5 (dart:io)\naccept-encoding: gzip\nhost: localhost:8080\n"
        f"content-type: multipart/form-data; boundary={dart}",
        part(dart, 'content-disposition: form-data; name="topK"', b"5", end=False)
        + part(dart, 'content-type: application/octet-stream\ncontent-disposition: form-data; name="file"; filename="photo.jpg"'))
written("reqwest", "Rust's reqwest::multipart", "content-type: multipart/form-data; boundary=7e1f6f0d9a2b4c58-0f1e2d3c4b5a6978-1a2b3c4d5e6f7081-92a3b4c5d6e7f809\n"
        "accept: */*\nhost: localhost:8080",
        part("7e1f6f0d9a2b4c58-0f1e2d3c4b5a6978-1a2b3c4d5e6f7081-92a3b4c5d6e7f809",
             'Content-Disposition: form-data; name="file"; filename="photo.jpg"\nContent-Type: image/jpeg'))

# Chromium ----------------------------------------------------------------------------------------------------------------------------------------

BROWSER = [
    ("chromium-form", "Chromium, a form's file input", "submit('multipart/form-data', file('file', photo), field('topK', '5'))", {}),
    ("chromium-form-empty", "Chromium, an empty file input beside a photo", "submit('multipart/form-data', file('other'), file('file', photo))", {}),
    ("chromium-form-nothing", "Chromium, an empty file input alone", "submit('multipart/form-data', file('file'))", mistake("no-picture", "empty")),
    ("chromium-form-no-enctype", "Chromium, a form that lacks its enctype", "submit('', file('file', photo))",
     mistake("file-name-instead-of-file", "photo.jpg")),
    ("chromium-form-text", "Chromium, a form with enctype=text/plain", "submit('text/plain', field('image', base64))", {}),
    ("chromium-form-base64", "Chromium, base64 in a form's field", "submit('multipart/form-data', field('image', base64))", {}),
    ("chromium-params", "Chromium, URLSearchParams", "fetch('/predict', { method: 'POST', body: new URLSearchParams({ image: base64 }) })", {}),
    ("chromium-json", "Chromium, fetch with JSON.stringify", "fetch('/predict', { method: 'POST', body: JSON.stringify({ image: base64 }) })", {}),
    ("chromium-data-url", "Chromium, FileReader's data URL",
     "new Promise((done) => { const r = new FileReader(); r.onload = () => done(fetch('/predict', { method: 'POST', body: r.result })); "
     "r.readAsDataURL(photo); })", {}),
    ("chromium-blob", "Chromium, fetch with a File", "fetch('/predict', { method: 'POST', body: photo })", {}),
    ("chromium-formdata", "Chromium, FormData", "fetch('/predict', { method: 'POST', body: new FormData(filled(file('file', photo))) })", {}),
    ("chromium-formdata-no-boundary", "Chromium, FormData, Content-Type set by hand", "fetch('/predict', { method: 'POST', "
     "headers: { 'Content-Type': 'multipart/form-data' }, body: new FormData(filled(file('file', photo))) })", {}),
    ("chromium-xhr", "Chromium, XMLHttpRequest", "new Promise((done) => { const x = new XMLHttpRequest(); x.open('POST', '/predict'); "
     "x.onloadend = done; x.send(photo); })", {}),
    ("chromium-preflight", "Chromium, JSON from another origin",
     f"fetch('{SERVER.replace('127.0.0.1', 'localhost')}/predict', {{ method: 'POST', headers: {{ 'Content-Type': 'application/json' }}, body: '{{}}' }})"
     ".catch(() => 0)", {"status": 405, "code": "method-not-allowed"}),
]
PAGE = """
const file = (name, photo) => { const i = Object.assign(document.createElement('input'), { type: 'file', name });
  if (photo) { const t = new DataTransfer(); t.items.add(photo); i.files = t.files; } return i; };
const field = (name, value) => Object.assign(document.createElement('input'), { name, value });
const filled = (...inputs) => { const f = document.createElement('form'); f.append(...inputs); document.body.append(f); return f; };
const submit = (enctype, ...inputs) => new Promise((done) => {
  const frame = Object.assign(document.createElement('iframe'), { name: 'answer' + document.forms.length });
  document.body.append(frame);
  const f = Object.assign(filled(...inputs), { method: 'post', action: '/predict', target: frame.name, enctype });
  frame.onload = () => frame.contentWindow.location.href !== 'about:blank' && done(); f.submit(); });
(async () => {
  const bytes = await (await fetch('/photo.jpg')).blob();
  const photo = new File([bytes], 'photo.jpg', { type: 'image/jpeg' });
  const base64 = %s;
  %s
})();
""" % (json.dumps(BASE64), "\n  ".join(f"await {code};" for _, _, code, _ in BROWSER))
if ONLY and not any(name.startswith(ONLY) for name, *_ in BROWSER):
    BROWSER = []
before = len(SENT)
browser = BROWSER and subprocess.Popen(["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={WORK}/profile", SERVER + "/page"],
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
for _ in range(600):
    if len(SENT) == before + len(BROWSER):
        break
    threading.Event().wait(0.1)
if browser:
    browser.terminate()
    browser.wait()
if len(SENT) != before + len(BROWSER):
    sys.exit(f"Chromium: {len(SENT) - before} requests came of {len(BROWSER)}")
for (name, client, _, expected), request in zip(BROWSER, SENT[before:]):
    keep(name, client, request, **expected)

if ONLY:
    with open(os.path.join(HERE, "cases.json"), encoding="utf-8") as before:
        CASES = [case for case in json.load(before) if not case["name"].startswith(ONLY)] + CASES
with open(os.path.join(HERE, "cases.json"), "w", encoding="utf-8") as out:
    json.dump(CASES, out, indent=1, ensure_ascii=False)
    out.write("\n")
shutil.rmtree(WORK, ignore_errors=True)
print(len(CASES), "requests")
