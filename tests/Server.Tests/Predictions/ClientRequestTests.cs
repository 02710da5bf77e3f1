using System.Text;
using System.Text.Json.Nodes;

namespace Whatsit.Server.Tests.Predictions;

/// <summary>The very bytes that people's clients send, recorded with a listener, with the bundled picture in them.</summary>
public sealed class ClientRequestTests(WhatsitServer server)
{
    private const string Curl = "User-Agent: curl/7.88.1\r\nAccept: */*\r\n";
    private const string Requests = "User-Agent: python-requests/2.34.2\r\nAccept-Encoding: gzip, deflate\r\nAccept: */*\r\nConnection: keep-alive\r\n";
    private const string Node =
        "connection: keep-alive\r\naccept: */*\r\naccept-language: *\r\nsec-fetch-mode: cors\r\nuser-agent: node\r\naccept-encoding: gzip, deflate\r\n";
    private const string Boundary = "------------------------944b27f46acb27b7";

    private static readonly byte[] Photo = WhatsitServer.Picture;
    private static readonly string Base64 = Convert.ToBase64String(Photo);

    public static TheoryData<string, string, string, byte[]> Accepted => new()
    {
        { "curl -d '{…}'", "POST", $"{Curl}Content-Type: application/x-www-form-urlencoded", Text($$"""{"image":"{{Base64}}"}""") },
        { "curl --json", "POST", "User-Agent: curl/7.88.1\r\nContent-Type: application/json\r\nAccept: application/json",
            Text($$"""{"image":"{{Base64}}"}""") },
        { "Node's fetch with JSON.stringify", "POST", $"{Node}content-type: text/plain;charset=UTF-8", Text($$"""{"image":"{{Base64}}"}""") },
        { "JSON with a byte-order mark", "POST", "Content-Type: application/json", [0xEF, 0xBB, 0xBF, .. Text($$"""{"image":"{{Base64}}"}""")] },
        { "JSON with a byte-order mark and no type", "POST", "Accept: */*", [0xEF, 0xBB, 0xBF, .. Text($$"""  {"image":"{{Base64}}"}""")] },
        { "base64 without padding", "POST", "Content-Type: application/json", Text($$"""{"image":"{{Base64.TrimEnd('=')}}"}""") },
        { "URL-safe base64", "POST", "Content-Type: application/json", Text($$"""{"image":"{{Base64.Replace('+', '-').Replace('/', '_')}}"}""") },
        { "base64 with line breaks", "POST", "Content-Type: application/json", Text($$"""{"image":"{{Lines("\\n")}}"}""") },
        { "a data URL in capitals", "POST", "Content-Type: application/json", Text($$"""{"image":"DATA:IMAGE/PNG;BASE64,{{Base64}}"}""") },
        { "base64 alone", "POST", $"{Curl}Content-Type: application/x-www-form-urlencoded", Text(Lines("\r\n")) },
        { "a data URL alone", "POST", "Content-Type: text/plain", Text($"data:image/png;base64,{Base64}") },
        { "curl --data-urlencode image=…", "POST", $"{Curl}Content-Type: application/x-www-form-urlencoded",
            Text($"image={Uri.EscapeDataString(Base64)}&topK=5") },
        { "curl --data-urlencode image@photo", "POST", $"{Curl}Content-Type: application/x-www-form-urlencoded",
            Text("image=" + string.Concat(Photo.Select(value => $"%{value:X2}"))) },
        { "curl -T", "PUT", $"{Curl}Expect: 100-continue", Photo },
        { "curl -F with a field behind", "POST", $"{Curl}Content-Type: multipart/form-data; boundary={Boundary}",
            Form(Boundary, File("file"), Field("topK", "5")) },
        { "requests, files and data", "POST", $"{Requests}Content-Type: multipart/form-data; boundary=d282bc12", Form("d282bc12", Field("topK", "5"),
            Part("name=\"file\"; filename=\"photo.jpg\"", Photo)) },
        { "requests, a type without a boundary", "POST", $"{Requests}Content-Type: multipart/form-data", Form("54d2653bff4687d6d341140c6e052dfc",
            Part("name=\"file\"; filename=\"photo.jpg\"", Photo)) },
        { "a boundary that is not the body's", "POST", "Content-Type: multipart/form-data; boundary=another", Form("54d2653bff46", File("file")) },
        { "a form under another type", "POST", "Content-Type: application/json-form", Form("54d2653bff46", File("file")) },
        { "a form without a type", "POST", "Accept: */*", Form("54d2653bff46", File("file")) },
        { "requests, data=open(…)", "POST", Requests.TrimEnd(), Photo },
        { "http.client", "POST", "Accept-Encoding: identity", Photo },
        { "Node's FormData", "POST", $"{Node}content-type: multipart/form-data; boundary=----formdata-undici-053947444308",
            Form("----formdata-undici-053947444308", Part("name=\"file\"; filename=\"blob\"\r\nContent-Type: application/octet-stream", Photo),
            Field("topK", "5")) },
        { "a picture under a multipart type", "POST", "Content-Type: multipart/form-data; boundary=x", Photo },
        { "a picture under a multipart type without a boundary", "POST", "Content-Type: multipart/form-data", Photo },
        { "a part with neither name nor type", "POST", "Content-Type: multipart/mixed; boundary=x", [.. Text("--x\r\n\r\n"), .. Photo, .. Text("\r\n--x--")] },
        { "a part with a name only", "POST", "Content-Type: multipart/form-data; boundary=x", Form("x", Part("name=\"upload\"", Photo)) },
        { "lines that end with LF", "POST", "Content-Type: multipart/form-data; boundary=x",
            [.. Text("--x\nContent-Disposition: form-data; name=f; filename=f\n\n"), .. Photo, .. Text("\n--x--\n")] },
        { "a preamble and an epilogue", "POST", "Content-Type: multipart/form-data; boundary=x", [.. Text("This is MIME.\r\n"), .. Form("x", File("f")),
            .. Text("the end")] },
        { "an empty file input beside a photo", "POST", "Content-Type: multipart/form-data; boundary=x",
            Form("x", Part("name=\"a\"; filename=\"\"\r\nContent-Type: application/octet-stream", []), File("b")) },
        { "base64 as a form's field", "POST", "Content-Type: multipart/form-data; boundary=x", Form("x", Field("image", Base64)) },
        { "a data URL as a form's field", "POST", "Content-Type: multipart/form-data; boundary=x",
            Form("x", Field("whatever", $"data:image/png;base64,{Base64}")) },
        { "a quoted boundary", "POST", "Content-Type: multipart/form-data; boundary=\"x y\"", Form("x y", File("f")) },
    };

    [Theory]
    [MemberData(nameof(Accepted))]
    public async Task What_clients_send_is_a_picture(string client, string method, string headers, byte[] body)
    {
        var (status, answer) = await Wire.AskAsync(server, $"{method} /predict HTTP/1.1\r\nHost: localhost\r\n{headers}\r\nContent-Length: {body.Length}",
            body);
        Assert.True(status == 200, $"{client}: {status} {answer}");
        Assert.Equal(Photo.Length, (int)answer["image"]!["bytes"]!);
        Assert.Equal("Granny Smith apple", (string)answer["predictions"]![0]!["label"]!);
        Assert.Null(answer["warnings"]);
    }

    public static TheoryData<string, string, byte[], string, string> Mistakes => new()
    {
        { "curl -F file=photo.jpg", $"{Curl}Content-Type: multipart/form-data; boundary={Boundary}", Form(Boundary, Field("file", "photo.jpg")),
            "file-name-instead-of-file", "-F file=@photo.jpg" },
        { "curl -F upload=my photo.PNG", $"{Curl}Content-Type: multipart/form-data; boundary={Boundary}", Form(Boundary, Field("upload", "my photo.PNG")),
            "file-name-instead-of-file", "-F upload=@my photo.PNG" },
        { "curl --data-binary photo.jpg", $"{Curl}Content-Type: application/x-www-form-urlencoded", Text("photo.jpg"), "file-name-instead-of-file",
            "--data-binary @photo.jpg" },
        { "curl -d file=photo.jpg", $"{Curl}Content-Type: application/x-www-form-urlencoded", Text("file=photo.jpg"), "file-name-instead-of-file",
            "-F file=@photo.jpg" },
        { "curl -d image=@photo.jpg", $"{Curl}Content-Type: application/x-www-form-urlencoded", Text("image=@photo.jpg"), "file-name-instead-of-file",
            "-F image=@photo.jpg" },
        { "requests.post(data='photo.webp')", Requests.TrimEnd(), Text("pictures/photo.webp"), "file-name-instead-of-file",
            "--data-binary @pictures/photo.webp" },
        { "curl -d @photo.png", $"{Curl}Content-Type: application/x-www-form-urlencoded", Stripped(Photo), "line-breaks-lost", "--data-binary" },
        { "curl -d @photo.jpg", $"{Curl}Content-Type: application/x-www-form-urlencoded",
            Stripped(System.IO.File.ReadAllBytes(Path.Combine(WhatsitServer.Root, "models/grocery/samples/granny-smith-apple.jpg"))), "line-breaks-lost",
            "--data-binary" },
        { "curl -d image=… with a plus", $"{Curl}Content-Type: application/x-www-form-urlencoded", Text($"image={Base64}"), "base64-plus-became-space",
            "--data-urlencode" },
        { "JSON with a plus that became a space", "Content-Type: application/json", Text($$"""{"image":"{{Base64.Replace('+', ' ')}}"}"""),
            "base64-plus-became-space", "'+'" },
        { "requests, TensorFlow Serving's shape", $"{Requests}Content-Type: application/json", Text("""{"instances": [{"b64": "AAAA"}]}"""), "json-shape",
            "\"instances\"" },
        { "an object in image", "Content-Type: application/json", Text("""{"image":{"b64":"AAAA"}}"""), "json-shape", "{\"image\":\"" },
        { "Hugging Face's shape", "Content-Type: application/json", Text("""{"inputs":"AAAA"}"""), "json-shape", "\"inputs\"" },
        { "Gradio's shape", "Content-Type: application/json", Text("""{"data":["AAAA"]}"""), "json-shape", "\"data\"" },
        { "a list", "Content-Type: application/json", Text("""["AAAA"]"""), "json-shape", "{\"image\":\"" },
        { "an empty file input alone", "Content-Type: multipart/form-data; boundary=x", Form("x", Part("name=\"a\"; filename=\"\"", [])), "no-picture",
            "empty" },
    };

    [Theory]
    [MemberData(nameof(Mistakes))]
    public async Task A_mistake_is_told_what_to_do_instead(string client, string headers, byte[] body, string code, string sentence)
    {
        var (status, problem) = await Wire.PredictAsync(server, headers, body);
        Assert.True((400, code) == (status, (string?)problem["code"]), $"{client}: {status} {problem}");
        Assert.Contains(sentence, (string)problem["detail"]!, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_sentence_and_its_example_can_be_copied_from_a_terminal()
    {
        var body = Text("""{"inputs":"<×>"}""");
        using var wire = await Wire.ConnectAsync(server);
        await wire.SendAsync($"POST /predict?topK=%3C%C3%97%22 HTTP/1.1\r\nHost: localhost\r\nContent-Length: {body.Length}\r\n\r\n");
        await wire.SendAsync(body);
        var (_, _, text) = await wire.ReadWholeAsync();
        Assert.Contains("topK is '<×\\\"'", text, StringComparison.Ordinal);
        Assert.DoesNotContain("\\u", text, StringComparison.Ordinal);

        var (_, problem) = await Wire.PredictAsync(server, "Content-Type: application/json", body);
        var example = JsonNode.Parse((string)problem["parameters"]!["example"]!)!;
        Assert.Equal(["image", "topK"], example.AsObject().Select(member => member.Key));
    }

    public static TheoryData<string, string, byte[]> FieldsOfTheBody => new()
    {
        { "in front of the file", "multipart/form-data; boundary=x", Form("x", Field("topK", "2"), Field("explain", "true"), Field("model", "grocery"),
            File("f")) },
        { "behind the file", "multipart/form-data; boundary=x", Form("x", File("f"), Field("top_k", "2"), Field("explain", "1"), Field("model", "grocery")) },
        { "in JSON", "application/json", Text($$"""{"topK":2,"image":"{{Base64}}","explain":true,"model":"grocery"}""") },
        { "in a form without files", "application/x-www-form-urlencoded", Text($"explain=true&image={Uri.EscapeDataString(Base64)}&topK=2&model=grocery") },
    };

    [Theory]
    [MemberData(nameof(FieldsOfTheBody))]
    public async Task Fields_mean_what_the_querys_parameters_mean(string where, string type, byte[] body)
    {
        var (status, answer) = await Wire.PredictAsync(server, $"Content-Type: {type}", body);
        Assert.True(status == 200, $"{where}: {answer}");
        Assert.Equal(2, answer["predictions"]!.AsArray().Count);
        Assert.NotNull(answer["predictions"]![0]!["map"]);
        Assert.Null(answer["warnings"]);
    }

    [Fact]
    public async Task A_field_behind_several_pictures_counts_for_all_of_them()
    {
        var (status, answer) = await Wire.PredictAsync(server, "Content-Type: multipart/form-data; boundary=x", Form("x", File("a"), File("b"),
            Field("topK", "2")));
        Assert.Equal(200, status);
        Assert.All(answer["results"]!.AsArray(), result => Assert.Equal(2, result!["predictions"]!.AsArray().Count));

        var (late, problem) = await Wire.PredictAsync(server, "Content-Type: multipart/form-data; boundary=x", Form("x", File("a"), File("b"),
            Field("explain", "true")));
        Assert.Equal((400, "field-too-late"), (late, (string)problem["code"]!));
    }

    [Theory]
    [InlineData("topK", "0", 400, "topK is 0")]
    [InlineData("topK", "many", 400, "topK is 'many'")]
    [InlineData("explain", "perhaps", 400, "'perhaps'")]
    [InlineData("model", "nothing", 404, "'nothing'")]
    public async Task A_fields_bad_value_is_named(string field, string value, int expected, string named)
    {
        var (status, problem) = await Wire.PredictAsync(server, "Content-Type: multipart/form-data; boundary=x", Form("x", File("a"), Field(field, value)));
        Assert.Equal(expected, status);
        Assert.Contains(named, (string)problem["detail"]!, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("multipart/form-data; boundary=x")]
    [InlineData("application/json")]
    [InlineData("application/x-www-form-urlencoded")]
    public async Task An_unknown_field_is_named_in_a_warning(string type)
    {
        var body = type switch
        {
            "application/json" => Text($$"""{"image":"{{Base64}}","tok":3}"""),
            "application/x-www-form-urlencoded" => Text($"tok=3&image={Uri.EscapeDataString(Base64)}"),
            _ => Form("x", File("f"), Field("tok", "3")),
        };
        var (status, answer) = await Wire.PredictAsync(server, $"Content-Type: {type}", body);
        Assert.True(status == 200, answer.ToString());
        var warning = Assert.Single(answer["warnings"]!.AsArray())!;
        Assert.Equal("unknown-field", (string)warning["code"]!);
        Assert.Contains("'tok'", (string)warning["detail"]!, StringComparison.Ordinal);
        Assert.Equal("tok", (string)warning["parameters"]!["field"]!);
    }

    private static byte[] Text(string text) => Encoding.UTF8.GetBytes(text);

    private static string Lines(string end) => string.Join(end, Base64.Chunk(76).Select(line => new string(line)));

    private static byte[] Form(string boundary, params byte[][] parts) =>
        [.. parts.SelectMany(part => (byte[])[.. Text($"--{boundary}\r\n"), .. part, .. Text("\r\n")]), .. Text($"--{boundary}--\r\n")];

    private static byte[] Part(string disposition, byte[] content) => [.. Text($"Content-Disposition: form-data; {disposition}\r\n\r\n"), .. content];

    private static byte[] File(string name) => Part($"name=\"{name}\"; filename=\"photo.jpg\"\r\nContent-Type: image/jpeg", Photo);

    private static byte[] Field(string name, string value) => Part($"name=\"{name}\"", Text(value));

    /// <summary>What curl 7.88 makes of a file after <c>-d @</c>: of each line, what stands before its first zero.</summary>
    private static byte[] Stripped(byte[] file)
    {
        var kept = new List<byte>();
        foreach (var line in Encoding.Latin1.GetString(file).Split('\n'))
        {
            kept.AddRange(Encoding.Latin1.GetBytes(line.Split('\0')[0].Replace("\r", "", StringComparison.Ordinal)));
        }

        return [.. kept];
    }
}
