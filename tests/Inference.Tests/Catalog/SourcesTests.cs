using System.ComponentModel.DataAnnotations;
using System.IO.Compression;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using Whatsit.Inference.Catalog;

namespace Whatsit.Inference.Tests.Catalog;

/// <summary>Bundles that are fetched at start.</summary>
public sealed class SourcesTests : IDisposable
{
    private readonly HttpListener _listener = new();
    private readonly string _folder = Directory.CreateTempSubdirectory("whatsit-sources-").FullName;
    private readonly string _address;
    private byte[] _zip = [];
    private int _asked;

    public SourcesTests()
    {
        using (var free = new TcpListener(IPAddress.Loopback, 0))
        {
            free.Start();
            _address = $"http://127.0.0.1:{((IPEndPoint)free.LocalEndpoint).Port}/";
        }

        _listener.Prefixes.Add(_address);
        _listener.Start();
        _ = ServeAsync();
    }

    [Theory]
    [InlineData("")]
    [InlineData("whatever-it-is-called/")]
    public async Task A_bundle_is_fetched_served_under_its_name_here_and_not_fetched_again(string inner)
    {
        _zip = Zip(inner);
        await using (var models = Catalog(Hash))
        {
            await StartAsync(models);
            Assert.True(models.Catalog.IsReady, models.Catalog.Status("fetched").Problem);
            using var lease = await models.Catalog.LeaseAsync("fetched", TestContext.Current.CancellationToken);
            Assert.Equal(("fetched", "7"), (lease.Model.Manifest.Name, lease.Model.Manifest.Version));
            Assert.False(Directory.Exists(models.PathOf("fetched")));
        }

        await using var again = Catalog(Hash);
        await StartAsync(again);
        Assert.True(again.Catalog.IsReady);
        Assert.Equal(1, _asked);
    }

    [Fact]
    public async Task What_the_settings_name_counts_whatever_lies_in_the_folder()
    {
        _zip = Zip("");
        await using var models = Catalog(Hash);
        TinyCatalog.Write(models.PathOf("fetched"), "1", manifest => manifest with { Name = "fetched" });
        await StartAsync(models);
        await models.LookAsync();
        await models.LookAsync();
        Assert.Equal("7", models.Catalog.Status("fetched").Manifest!.Version);
    }

    [Theory]
    [InlineData("hash", "What came from .* is not what was announced: .* of another hash")]
    [InlineData("gone", @"There is nothing at http://127\.0\.0\.1:\d+/bundle\.zip \(404\)\.")]
    [InlineData("text", "'fetched.zip' is no zip, or only a part of one.")]
    [InlineData("cut", "'fetched.zip' is no zip, or only a part of one.")]
    [InlineData("empty", "The zip 'fetched.zip' is no bundle: it has no model.json, neither at its top nor in its one folder.")]
    [InlineData("outside", "The zip 'fetched.zip' holds '../evil', which would lie outside of it.")]
    [InlineData("twice", "The zip 'fetched.zip' holds 'labels.txt' twice.")]
    [InlineData("many", "The zip 'fetched.zip' holds 1,005 files; 1,000 are allowed.")]
    [InlineData("bomb", "The zip 'fetched.zip' unpacks to more than 100 times its size.")]
    [InlineData("large", "The zip 'fetched.zip' unpacks to more than 30,000,000 bytes.")]
    [InlineData("long", @"http://127\.0\.0\.1:\d+/bundle\.zip has [\d,]+ bytes; up to 30,000,000 are fetched\.")]
    [InlineData("other weights", "The file 'model.onnx' of the model 'fetched' is not the one in its manifest")]
    [InlineData("no weights", "The model 'fetched' lacks its file 'model.onnx', or it is empty.")]
    [InlineData("huge manifest", "fetched/model.json has 5,000,000 bytes; a manifest has up to 4,194,304.")]
    [InlineData("no manifest", "fetched/model.json is no manifest:")]
    [InlineData("wrong answer", "The model 'fetched' .* does not give its recorded answer")]
    public async Task What_is_not_as_it_should_be_is_named_in_one_sentence_and_the_server_is_not_ready(string what, string sentence)
    {
        _zip = what switch
        {
            "gone" => [],
            "text" => "<html>"u8.ToArray(),
            "cut" => Zip("")[..^40],
            "empty" => Zip("", archive => archive.GetEntry("model.json")!.Delete()),
            "outside" => Zip("", archive => Add(archive, "../evil", [1])),
            "twice" => Zip("", archive => Add(archive, "labels.txt", [1])),
            "many" => Zip("", archive => Array.ForEach(Enumerable.Range(0, 1002).ToArray(), at => Add(archive, $"{at}", [1]))),
            "bomb" => Zip("", archive => Add(archive, "zeros", new byte[25_000_000])),
            "large" => Zip("", archive => Add(archive, "zeros", Random.Shared.GetItems("ab"u8.ToArray(), 40_000_000))),
            "long" => Zip("", archive => Add(archive, "noise", RandomNumberGenerator.GetBytes(31_000_000))),
            "other weights" => Zip("", archive => Replace(archive, "model.onnx", [1, 2, 3])),
            "no weights" => Zip("", archive => archive.GetEntry("model.onnx")!.Delete()),
            "huge manifest" => Zip("", archive => Replace(archive, "model.json", new byte[5_000_000])),
            "no manifest" => Zip("", archive => Replace(archive, "model.json", "[1, 2]"u8.ToArray())),
            "wrong answer" => Zip("", sample: new SampleSpec("labels.txt", [new Prediction("red", 0, 0.9f)])),
            _ => Zip(""),
        };
        await using var models = Catalog(what == "hash" ? new string('0', 64) : Hash);
        await StartAsync(models);

        Assert.False(models.Catalog.IsReady);
        var problem = models.Catalog.Status("fetched").Problem!;
        if (what == "wrong answer")
        {
            // An unreadable sample is a reason, too: the tiny model has no picture.
            Assert.NotEmpty(problem);
        }
        else
        {
            Assert.Matches($@"^The model 'fetched' was not fetched \(Catalog:Sources\)\. {sentence}", problem);
        }

        Assert.DoesNotContain('\n', problem);
        // What serves besides goes on.
        Assert.Equal("1", models.Version);
        Assert.Equal(what == "wrong answer" ? ["fetched"] : [], Directory.Exists(Path.Combine(_folder, "bundles", Hash))
            ? Directory.GetDirectories(Path.Combine(_folder, "bundles", Hash)).Select(Path.GetFileName) : []);
    }

    [Theory]
    [InlineData("a/b", "https://models.example/a.zip", "Catalog:Sources:0:Name is 'a/b'; a model's name has letters")]
    [InlineData("a", "ftp://models.example/a.zip", "Catalog:Sources:0:Url is 'ftp://models.example/a.zip', which is no address")]
    [InlineData("a", "http://models.example/a.zip", "Catalog:Sources:0:Url begins with http://; give https://, or set Catalog:Sources:0:AllowHttp to true.")]
    [InlineData("a", "https://models.example/a.zip", "Catalog:Sources:0:Sha256 must be 64 hexadecimal digits")]
    public void A_setting_that_cannot_be_right_is_named(string name, string url, string sentence)
    {
        var options = new CatalogOptions { Sources = { new BundleSource { Name = name, Url = url, Sha256 = "abc" } } };
        var problem = Assert.Single(options.Validate(new ValidationContext(options)));
        Assert.StartsWith(sentence, problem.ErrorMessage, StringComparison.Ordinal);
    }

    public void Dispose()
    {
        _listener.Abort();
        Directory.Delete(_folder, recursive: true);
    }

    private string Hash => Convert.ToHexStringLower(SHA256.HashData(_zip));

    private TinyCatalog Catalog(string sha256) => new(configure: options =>
    {
        (options.Cache, options.MaxBundleBytes) = (_folder, 30_000_000);
        options.Sources.Add(new BundleSource { Name = "fetched", Url = $"{_address}bundle.zip", Sha256 = sha256, AllowHttp = true });
    });

    private static async Task StartAsync(TinyCatalog models)
    {
        await models.Catalog.StartAsync(TestContext.Current.CancellationToken);
        await models.Catalog.FetchedAsync();
    }

    private byte[] Zip(string inner, Action<ZipArchive>? change = null, SampleSpec? sample = null)
    {
        var bundle = Path.Combine(_folder, $".{Guid.NewGuid():N}");
        TinyCatalog.Write(bundle, "7", manifest => manifest with { Sample = sample });
        using var zip = new MemoryStream();
        using (var archive = new ZipArchive(zip, ZipArchiveMode.Update, leaveOpen: true))
        {
            foreach (var file in Directory.GetFiles(bundle))
            {
                Add(archive, inner + Path.GetFileName(file), File.ReadAllBytes(file));
            }

            change?.Invoke(archive);
        }

        Directory.Delete(bundle, recursive: true);
        return zip.ToArray();
    }

    private static void Add(ZipArchive archive, string name, byte[] content)
    {
        using var entry = archive.CreateEntry(name, CompressionLevel.Optimal).Open();
        entry.Write(content);
    }

    private static void Replace(ZipArchive archive, string name, byte[] content)
    {
        archive.GetEntry(name)!.Delete();
        Add(archive, name, content);
    }

    private async Task ServeAsync()
    {
        while (_listener.IsListening)
        {
            var context = await _listener.GetContextAsync();
            Interlocked.Increment(ref _asked);
            context.Response.StatusCode = _zip.Length == 0 ? 404 : 200;
            context.Response.ContentLength64 = _zip.Length;
            try
            {
                await context.Response.OutputStream.WriteAsync(_zip);
                context.Response.Close();
            }
            catch (Exception exception) when (exception is HttpListenerException or InvalidOperationException)
            {
                // It did not want all of it.
            }
        }
    }
}
