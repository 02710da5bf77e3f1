using System.IO.Compression;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Whatsit.Inference.Catalog;
using Whatsit.Inference.Fetching;
using Whatsit.Inference.Preprocessing;
using Whatsit.ModelConversion.Formats.Onnx;
using Whatsit.ModelTools.Evaluation;
using Whatsit.ModelTools.Hub;
using Whatsit.ModelTools.Tests.Commands;
using Whatsit.ModelTools.Tests.Formats.HuggingFace;
using Whatsit.ModelTools.Tests.Formats.Keras;

namespace Whatsit.ModelTools.Tests.Hub;

public sealed class HubClientTests : IAsyncLifetime
{
    private readonly string _folder = Directory.CreateTempSubdirectory("hub").FullName;
    private SmallHub _hub = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _hub = await SmallHub.StartAsync();
        _hub.Files["config.json"] = Encoding.UTF8.GetBytes(HubFolders.Transformers);
        _hub.Files["preprocessor_config.json"] = Encoding.UTF8.GetBytes(HubFolders.Processor);
        _hub.Files["README.md"] = "# Leaves"u8.ToArray();
        _hub.Files["model.safetensors"] = new byte[999];
        _hub.Files["onnx/model.onnx"] = HubFolders.Network(Path.Combine(_folder, "network.onnx"));
        _hub.Files["onnx/model_q4f16.onnx"] = new byte[77];
    }

    public async ValueTask DisposeAsync()
    {
        await _hub.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public async Task A_repository_imports_with_one_command()
    {
        (var code, var output, var error) = await RunAsync("hf:someone/leaves@v1", "--json");

        Assert.True(code == 0, output + error);
        var manifest = Bundle.ReadManifest(Path.Combine(_folder, "models", "leaves"));
        Assert.Equal(["oak", "elm", "ash"], await File.ReadAllLinesAsync(Path.Combine(_folder, "models", "leaves", "labels.txt"), Token));
        Assert.Equal((24, PreprocessingCertainty.Known, $"{_hub.Address}someone/leaves@{SmallHub.Commit[..12]}"),
            (manifest.Input.Width, manifest.Preprocessing.Evidence!.Certainty, manifest.Source));
        Assert.DoesNotContain(_hub.Asked,
            asked => asked.Contains("safetensors", StringComparison.Ordinal) || asked.Contains("q4f16", StringComparison.Ordinal));

        // The second time everything is there.
        _hub.Asked.Clear();
        await RunAsync("hf:someone/leaves", "--json");
        Assert.All(_hub.Asked, asked => Assert.StartsWith("/api/", asked, StringComparison.Ordinal));
    }

    [Fact]
    public async Task The_hub_of_these_tests_speaks_what_Hugging_Face_s_own_client_speaks()
    {
        Assert.SkipUnless(Directory.Exists(Path.Combine(WhatsitCommand.Root, "client", "node_modules", "@huggingface", "hub")),
            "skipped: @huggingface/hub is not here (npm ci in client)");

        (var code, var output, var error) = await WhatsitCommand.RunProgramAsync("node", WhatsitCommand.Root, null, "tests/data/clients/hub.mjs",
            _hub.Address.AbsoluteUri.TrimEnd('/'), SmallHub.Repository);

        Assert.True(code == 0, error);
        using var answer = JsonDocument.Parse(output);
        Assert.Equal(SmallHub.Commit, answer.RootElement.GetProperty("revision").GetString());
        Assert.Equal(_hub.Files.Select(file => $"{file.Key} {file.Value.Length} {Convert.ToHexStringLower(SHA256.HashData(file.Value))}"),
            answer.RootElement.GetProperty("files").EnumerateObject().Select(file => $"{file.Name} {file.Value[0].GetInt32()} {file.Value[1].GetString()}")
                .Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task A_proxy_of_the_environment_is_asked_except_for_hosts_without_one()
    {
        // The hub's own address is given as the proxy's, and its name leads nowhere; the store of large files is asked directly.
        _hub.Token = "secret";
        (var code, var output, var error) = await RunAsync(new Dictionary<string, string>
        {
            ["HF_ENDPOINT"] = "http://hub.invalid",
            ["HF_TOKEN"] = "secret",
            ["HTTP_PROXY"] = _hub.Address.AbsoluteUri,
            ["NO_PROXY"] = "127.0.0.1",
        }, "hf:someone/leaves", "--json");

        Assert.True(code == 0, output + error);
        Assert.StartsWith("http://hub.invalid/someone/leaves@", Bundle.ReadManifest(Path.Combine(_folder, "models", "leaves")).Source,
            StringComparison.Ordinal);
        Assert.Contains("store/onnx/model.onnx", _hub.Asked);
    }

    [Fact]
    public async Task A_proxy_that_leads_nowhere_is_said_so()
    {
        using var proxy = new TcpListener(IPAddress.Loopback, 0);
        proxy.Start();
        var asked = AnswerAsync();
        (var code, _, var error) = await RunAsync(new Dictionary<string, string>
        {
            ["HF_ENDPOINT"] = "https://hub.invalid",
            ["HTTPS_PROXY"] = $"http://127.0.0.1:{((IPEndPoint)proxy.LocalEndpoint).Port}",
        }, "hf:someone/leaves");

        proxy.Stop();
        Assert.All(await asked, line => Assert.Equal("CONNECT hub.invalid:443 HTTP/1.1", line));
        Assert.Equal(1, code);
        Assert.Contains("The proxy does not lead to hub.invalid: ", error, StringComparison.Ordinal);

        async Task<List<string>> AnswerAsync()
        {
            var lines = new List<string>();
            while (true)
            {
                try
                {
                    using var client = await proxy.AcceptTcpClientAsync(Token);
                    using var reader = new StreamReader(client.GetStream());
                    lines.Add(await reader.ReadLineAsync(Token) ?? "");
                    var header = lines[^1];
                    while (header is { Length: > 0 })
                    {
                        header = await reader.ReadLineAsync(Token);
                    }

                    await client.GetStream().WriteAsync("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"u8.ToArray(), Token);
                }
                catch (SocketException)
                {
                    return lines;
                }
            }
        }
    }

    [Fact]
    public async Task What_broke_off_is_continued()
    {
        var length = _hub.Files["onnx/model.onnx"].Length;
        _hub.Breaks.Enqueue(100_000); // a small file, which is shorter
        _hub.Breaks.Enqueue(100_000);
        _hub.Breaks.Enqueue(length / 3);
        _hub.Breaks.Enqueue(length / 3);

        var (folder, _) = await FetchAsync();

        Assert.Equal(_hub.Files["onnx/model.onnx"], await File.ReadAllBytesAsync(Path.Combine(folder, "onnx", "model.onnx"), Token));
        Assert.Equal(["store/onnx/model.onnx", $"store/onnx/model.onnx bytes={length / 3}-", $"store/onnx/model.onnx bytes={length / 3 * 2}-"],
            _hub.Asked.Where(asked => asked.StartsWith("store", StringComparison.Ordinal)));
        Assert.Empty(Directory.EnumerateFiles(folder, "*.part*", SearchOption.AllDirectories));
    }

    [Fact]
    public async Task What_is_left_from_an_earlier_start_is_continued_and_checked()
    {
        var content = _hub.Files["onnx/model.onnx"];
        var path = Path.Combine(_folder, "cache", "hub", "someone--leaves", SmallHub.Commit, "onnx", "model.onnx.part");
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        await File.WriteAllBytesAsync(path, [.. content[..10].Select(value => (byte)~value)], Token); // of another version

        var (folder, _) = await FetchAsync();

        Assert.Equal(content, await File.ReadAllBytesAsync(Path.Combine(folder, "onnx", "model.onnx"), Token));
        Assert.Equal(["store/onnx/model.onnx bytes=10-", "store/onnx/model.onnx"],
            _hub.Asked.Where(asked => asked.StartsWith("store", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task What_is_not_what_was_announced_is_refused_and_not_kept()
    {
        _hub.Lies = true;

        Assert.Contains("is not what was announced", await RefusalAsync(), StringComparison.Ordinal);
        Assert.Empty(Directory.EnumerateFiles(Path.Combine(_folder, "cache"), "*", SearchOption.AllDirectories));
        Assert.Equal(2, _hub.Asked.Count(asked => asked.Contains("/resolve/", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task A_token_goes_to_the_hub_and_no_further()
    {
        _hub.Token = "secret";

        // The store refuses whoever brings one.
        await FetchAsync(token: "secret");
        Assert.Contains("There is no model 'someone/leaves' on 127.0.0.1, or it is private", await RefusalAsync(), StringComparison.Ordinal);
        Assert.Contains("There is no model", await RefusalAsync(token: "wrong"), StringComparison.Ordinal);
        _hub.Gated = true;
        Assert.Equal($"'someone/leaves' is gated: accept its conditions on {_hub.Address}someone/leaves and give your token (HF_TOKEN).", await RefusalAsync());
    }

    [Fact]
    public async Task A_trouble_of_the_hub_s_is_waited_out()
    {
        _hub.Troubles.Enqueue(503);
        _hub.Troubles.Enqueue(500);
        await FetchAsync();

        Array.ForEach([500, 502, 503, 504], _hub.Troubles.Enqueue);
        Assert.Equal("127.0.0.1 has a trouble of its own (504); try again later.", await RefusalAsync());
        _hub.Troubles.Enqueue(429);
        Assert.Contains("asks for patience (429): try again later, or give a token (HF_TOKEN).", await RefusalAsync(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("hf:someone/twigs", "There is no model 'someone/twigs' on 127.0.0.1")]
    [InlineData("hf:someone/leaves@v9", "'someone/leaves' has no branch, tag or commit 'v9'.")]
    [InlineData("hf:leaves", "'hf:leaves' names no model on a hub: hf:OWNER/NAME is expected")]
    [InlineData("hf:a/b/c", "names no model on a hub")]
    [InlineData("hf:some one/leaves", "names no model on a hub")]
    [InlineData("hf:../leaves", "names no model on a hub")]
    [InlineData("hf:someone/leaves@../../x", "names no model on a hub")]
    public async Task What_is_not_there_is_said_in_a_sentence(string address, string sentence) =>
        Assert.Contains(sentence, await RefusalAsync(address), StringComparison.Ordinal);

    [Fact]
    public async Task A_repository_without_a_network_is_said_so()
    {
        _hub.Files.Remove("onnx/model.onnx");
        _hub.Files.Remove("onnx/model_q4f16.onnx");
        _hub.Files.Remove("model.safetensors");
        Assert.Contains("holds no network that can be read: ONNX, Keras, TensorFlow Lite or TensorFlow.js, but README.md, config.json, preprocessor_",
            await RefusalAsync(), StringComparison.Ordinal);
        _hub.Files["pytorch_model.bin"] = new byte[9];
        Assert.StartsWith("'pytorch_model.bin' is a PyTorch checkpoint, which holds Python code and is not opened", await RefusalAsync(),
            StringComparison.Ordinal);
        _hub.Task = "text-generation";
        Assert.Contains("is for text-generation, not for classifying pictures", await RefusalAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Weights_come_where_there_is_no_graph()
    {
        _hub.Files.Clear();
        foreach (var file in Directory.EnumerateFiles(Path.Combine(KerasFiles.Repository, "tests", "data", "safetensors", "resnet")))
        {
            _hub.Files[Path.GetFileName(file)] = await File.ReadAllBytesAsync(file, Token);
        }

        _hub.Files["pytorch_model.bin"] = [0x80, 2, (byte)'.'];
        (var code, var output, var error) = await RunAsync("hf:someone/leaves", "--json");

        Assert.True(code == 0, output + error);
        Assert.Equal("leaf 0", (await File.ReadAllLinesAsync(Path.Combine(_folder, "models", "leaves", "labels.txt"), Token))[0]);
        Assert.DoesNotContain(_hub.Asked, asked => asked.Contains("pytorch_model", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Weights_in_several_files_come_as_their_index_says()
    {
        _hub.Files.Remove("onnx/model.onnx");
        _hub.Files.Remove("onnx/model_q4f16.onnx");
        _hub.Files.Remove("model.safetensors");
        _hub.Files["model.safetensors.index.json"] =
            """{"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors", "c": "model-1.safetensors"}}"""u8.ToArray();
        _hub.Files["model-1.safetensors"] = [1];
        _hub.Files["other.safetensors"] = [3];
        Assert.Contains("has no file 'model-2.safetensors', which 'model.safetensors.index.json' names", await RefusalAsync(), StringComparison.Ordinal);

        _hub.Files["model-2.safetensors"] = [2];
        var (folder, _) = await FetchAsync();
        Assert.Equal(["model-1.safetensors", "model-2.safetensors"],
            Directory.EnumerateFiles(folder, "*.safetensors").Select(Path.GetFileName).Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task Weights_of_a_network_that_is_not_known_are_not_fetched()
    {
        _hub.Files.Remove("onnx/model.onnx");
        _hub.Files.Remove("onnx/model_q4f16.onnx");
        _hub.Files["config.json"] = """{"architectures": ["SwinForImageClassification"], "model_type": "swin"}"""u8.ToArray();

        Assert.Contains("config.json says 'SwinForImageClassification'; ResNetForImageClassification, ", await RefusalAsync(), StringComparison.Ordinal);
        Assert.DoesNotContain(_hub.Asked, asked => asked.Contains("safetensors", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Paths_that_lead_out_of_the_folder_are_not_taken()
    {
        _hub.Files["../../labels.txt"] = [65];
        _hub.Files["/etc/labels.txt"] = [65];
        await FetchAsync();

        Assert.DoesNotContain(_hub.Asked, asked => asked.Contains("labels.txt", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Weights_beside_the_network_come_along()
    {
        _hub.Files["onnx/model.onnx_data"] = new byte[50];
        _hub.Files["onnx/labels.txt"] = [65];
        var (folder, commit) = await FetchAsync();

        Assert.Equal(["config.json", "onnx/labels.txt", "onnx/model.onnx", "onnx/model.onnx_data", "preprocessor_config.json"],
            Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories).Select(file => Path.GetRelativePath(folder, file).Replace('\\', '/'))
                .Order(StringComparer.Ordinal));
        Assert.Equal(SmallHub.Commit, commit);
    }

    [Fact]
    public async Task Fewer_bits_become_variants_where_they_answer_as_full_precision_does()
    {
        _hub.Files["onnx/model_fp16.onnx"] = HubFolders.Halved(Path.Combine(_folder, "halved.onnx"));
        _hub.Files["onnx/model_quantized.onnx"] = HubFolders.InBytes(Path.Combine(_folder, "bytes.onnx"));

        (var code, var output, var error) = await RunAsync("hf:someone/leaves", "--json");

        Assert.True(code == 0, output + error);
        var folder = Path.Combine(_folder, "models", "leaves");
        var manifest = Bundle.ReadManifest(folder);
        var notes = NotesOf(output);
        Assert.Contains("'onnx/model_fp16.onnx' is the variant fp16: it answers 24 random pictures as fp32 does (confidences differ by ", notes,
            StringComparison.Ordinal);
        Assert.Contains("'onnx/model_quantized.onnx' is the variant int8: ", notes, StringComparison.Ordinal);
        Assert.Equal(["fp32", "fp16", "int8"], manifest.Files.Keys);
        Assert.Equal((null, true, false), (manifest.Files["fp32"].Approved, manifest.Files["fp16"].Approved, manifest.Files["int8"].Approved));
        Assert.Contains("is the variant int8", await File.ReadAllTextAsync(Path.Combine(folder, "README.md"), Token), StringComparison.Ordinal);
        var graph = new OnnxReader().Read(Bundle.PathOf(folder, manifest.Files["int8"].File)).Graph;
        Assert.Contains(graph.Nodes, node => node.Op == "MatMulInteger");

        // As a server would before it says that it is ready.
        using var evaluator = new Evaluator();
        foreach (var variant in manifest.Files.Keys)
        {
            using var lease = evaluator.Load(manifest, folder, variant);
            await evaluator.SelfTestAsync(lease.Model, Token);
        }
    }

    [Fact]
    public async Task Fewer_bits_that_answer_otherwise_are_left_out()
    {
        _hub.Files["onnx/model_fp16.onnx"] = new byte[77];
        _hub.Files["onnx/model_int8.onnx"] = HubFolders.InBytes(Path.Combine(_folder, "other.onnx"), factor: -3);

        (var code, var output, var error) = await RunAsync("hf:someone/leaves", "--json");

        Assert.True(code == 0, output + error);
        var notes = NotesOf(output);
        Assert.Contains("'onnx/model_fp16.onnx' was left out: ", notes, StringComparison.Ordinal);
        Assert.Contains("'onnx/model_int8.onnx' was left out: ", notes, StringComparison.Ordinal);
        Assert.Equal(["fp32"], Bundle.ReadManifest(Path.Combine(_folder, "models", "leaves")).Files.Keys);
    }

    [Fact]
    public async Task A_host_that_is_not_there_is_said_so()
    {
        var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var port = ((IPEndPoint)listener.LocalEndpoint).Port;
        listener.Stop();

        (var code, _, var error) = await RunAsync($"http://127.0.0.1:{port}/model.onnx");
        Assert.Equal(1, code);
        Assert.StartsWith("127.0.0.1 cannot be reached: ", error, StringComparison.Ordinal);
        (code, _, error) = await RunAsync("https://no-such-host.invalid/model.onnx");
        Assert.Equal(1, code);
        Assert.Contains("no-such-host.invalid", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_file_or_zip_is_fetched_from_an_address()
    {
        using (var zip = new MemoryStream())
        {
            using (var archive = new ZipArchive(zip, ZipArchiveMode.Create, leaveOpen: true))
            {
                foreach ((var name, var content) in _hub.Files.Where(file => file.Key is "config.json" or "preprocessor_config.json" or "onnx/model.onnx"))
                {
                    await using var entry = await archive.CreateEntry(name).OpenAsync(Token);
                    await entry.WriteAsync(content, Token);
                }
            }

            _hub.Files["leaves.zip"] = zip.ToArray();
        }

        var address = $"{_hub.Address}plain/leaves.zip";
        var hash = Convert.ToHexStringLower(SHA256.HashData(_hub.Files["leaves.zip"]));
        (var code, _, var error) = await RunAsync(address, "--sha256", hash);
        Assert.True(code == 0, error);
        Assert.Equal("oak", (await File.ReadAllLinesAsync(Path.Combine(_folder, "models", "leaves", "labels.txt"), Token))[0]);

        (code, _, error) = await RunAsync(address, "--sha256", Convert.ToHexStringLower(new byte[32]));
        Assert.Equal((1, true), (code, error.Contains("is not what was announced", StringComparison.Ordinal)));
        (code, _, error) = await RunAsync(address, "--sha256", "12");
        Assert.Equal((1, true), (code, error.Contains("'12' is no SHA-256", StringComparison.Ordinal)));
        (code, _, error) = await RunAsync("http://example.org/model.onnx");
        Assert.Equal((1, true), (code, error.Contains("What comes by http may be changed on its way", StringComparison.Ordinal)));
        (code, _, error) = await RunAsync($"{_hub.Address}someone/nothing");
        Assert.Equal((1, true), (code, error.Contains("There is nothing at", StringComparison.Ordinal)));
    }

    [Fact]
    public void Progress_tells_rate_and_time_left() => Assert.Equal("model.onnx: 20.0 of 50.0 MB, 2.0 MB/s, 15 s left",
        Downloads.Rate("model.onnx", 10_000_000, 10_000_000, 50_000_000, TimeSpan.FromSeconds(5)));

    private async Task<(string Folder, string Commit)> FetchAsync(string address = "hf:someone/leaves", string? token = null)
    {
        using var client = Downloads.CreateClient();
        return await new HubClient(new Downloads(client, token, _ => { }, new NoWaiting()), _hub.Address, Path.Combine(_folder, "cache"))
            .FetchAsync(HubAddress.Parse(address), null, Token);
    }

    private async Task<string> RefusalAsync(string address = "hf:someone/leaves", string? token = null) =>
        (await Assert.ThrowsAnyAsync<Exception>(() => FetchAsync(address, token))).Message;

    private static string NotesOf(string output) =>
        string.Join('\n', JsonDocument.Parse(output).RootElement.GetProperty("notes").EnumerateArray().Select(note => note.GetString()));

    private Task<(int Code, string Output, string Error)> RunAsync(params string[] arguments) =>
        RunAsync(new Dictionary<string, string> { ["HF_ENDPOINT"] = _hub.Address.AbsoluteUri }, arguments);

    private Task<(int Code, string Output, string Error)> RunAsync(Dictionary<string, string> environment, params string[] arguments)
    {
        environment["XDG_CACHE_HOME"] = Path.Combine(_folder, "home");
        return WhatsitCommand.RunWithAsync(environment, ["import", .. arguments, "--name", "leaves", "--models", Path.Combine(_folder, "models")]);
    }

    /// <summary>Pauses are over at once.</summary>
    private sealed class NoWaiting : TimeProvider
    {
        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
            base.CreateTimer(callback, state, dueTime > TimeSpan.Zero ? TimeSpan.FromTicks(1) : dueTime, period);
    }
}
