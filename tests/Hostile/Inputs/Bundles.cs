using System.IO.Compression;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;

namespace Whatsit.Hostile.Inputs;

/// <summary>
/// Bundles that are none: dropped into the folder of a server that runs, and sent to it with the key. What counts is that it says so and that others are
/// answered meanwhile.
/// </summary>
internal sealed class Bundles : IDisposable
{
    private const string Key = "the key of the tests", Name = "evil", Authorization = $"Authorization: Bearer {Key}\r\n";

    private static readonly string Grocery = Repository.PathOf("models", "grocery");

    private static readonly string[] Files = ["model.int8.onnx", "labels.txt", "sample.png", "classifier.f32", "abstain.f32"];

    // A bundle is refused by what is wrong with it; that it serves is wrong, too.
    private static readonly int[] Refused = [400, 413, 422];

    private readonly string _models = Directory.CreateTempSubdirectory("whatsit-hostile-").FullName;

    public Bundles() => Write(Path.Combine(_models, "grocery"), Manifest("grocery"));

    /// <summary>What the server needs to be attacked so.</summary>
    public Dictionary<string, string> Settings => new()
    {
        ["Catalog__Models"] = _models,
        ["Catalog__WatchSeconds"] = "0.1",
        ["Catalog__MaxBundleBytes"] = "200000000",
        ["Management__KeySha256"] = Convert.ToHexString(SHA256.HashData(Encoding.UTF8.GetBytes(Key))),
    };

    /// <summary>Folders of the models folder; the status is that of a small photo beside them, or 0 where such a model serves.</summary>
    public IEnumerable<Attack> Dropped(byte[] photo) =>
    [
        Drop("weights that are cut off", photo, folder => Cut(Path.Combine(folder, Files[0]), 100_000)),
        Drop("weights that are missing", photo, folder => File.Delete(Path.Combine(folder, Files[0]))),
        Drop("weights with some bytes changed, and their hash with them", photo, folder =>
        {
            Damage(Path.Combine(folder, Files[0]), 1);
            Describe(folder);
        }),
        Drop("weights of zeros, 200 MB", photo, folder =>
        {
            Grow(Path.Combine(folder, Files[0]), 200_000_000);
            Describe(folder);
        }),
        Drop("labels of 3 GB that take no room", photo, folder => Grow(Path.Combine(folder, Files[1]), 3_000_000_000)),
        Drop("a sample of 3 GB that takes no room", photo, folder => Grow(Path.Combine(folder, Files[2]), 3_000_000_000)),
        Drop("labels that are a link to /etc/passwd", photo, folder => Link(Path.Combine(folder, Files[1]), "/etc/passwd")),
        Drop("weights that are a link to /dev/zero", photo, folder => Link(Path.Combine(folder, Files[0]), "/dev/zero")),
        Drop("labels that are a pipe", photo, folder => Pipe(Path.Combine(folder, Files[1]))),
        Drop("a manifest that is a pipe", photo, folder => Pipe(Path.Combine(folder, "model.json"))),
        Drop("a manifest of 300 MB of spaces", photo, folder => File.WriteAllBytes(Path.Combine(folder, "model.json"), Fill(300_000_000, (byte)' '))),
        Drop("a manifest of 4 MB of brackets", photo, folder => File.WriteAllBytes(Path.Combine(folder, "model.json"), Fill(4_000_000, (byte)'['))),
        Drop("a manifest with 50,000 files", photo, folder => Edit(folder, manifest =>
        {
            for (var file = 0; file < 50_000; file++)
            {
                manifest["files"]![$"v{file}"] = new JsonObject { ["file"] = "a", ["bytes"] = 1, ["sha256"] = "" };
            }
        })),
        Drop("a manifest that ends in the middle", photo, folder => Cut(Path.Combine(folder, "model.json"), 500)),
        Drop("a manifest of another file", photo, folder => File.Copy(Path.Combine(folder, Files[2]), Path.Combine(folder, "model.json"), overwrite: true)),
        Drop("an input of 60,000 pixels a side", photo, folder => Edit(folder, manifest =>
            (manifest["input"]!["width"], manifest["input"]!["height"]) = (60_000, 60_000))),
        Drop("a recorded answer that it does not give", photo, folder => Edit(folder, manifest => manifest["version"] = "2", confidence: 0.01)),
        Drop("labels outside of its folder", photo, folder => Edit(folder, manifest => manifest["labels"] = "../grocery/labels.txt")),
        Drop("another bundle's name", photo, folder => Edit(folder, manifest => manifest["name"] = "grocery")),
    ];

    /// <summary>Zips that are sent with the key.</summary>
    /// <param name="rounds">Damages of a good one.</param>
    public static IEnumerable<Attack> Put(int rounds)
    {
        yield return Put("a bundle, which is taken", () => Zip(), [201]);
        yield return new Attack("and taken away again",
            target => target.AskAsync($"DELETE /models/{Name} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{Authorization}\r\n"), 204);
        yield return new Attack("a bundle without the key", target => target.AskAsync(
            $"PUT /models/{Name} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello"), 401);
        yield return Put("1 GB of zeros", () => Zip(archive => Zeros(archive, "zeros", 1L << 30)), Refused);
        yield return Put("zeros, hundreds of times the zip", () => Zip(archive =>
        {
            archive.GetEntry(Files[0])!.Delete();
            Zeros(archive, "zeros", 190_000_000);
        }), Refused);
        yield return Put("a name outside of it", () => Zip(archive => Add(archive, "../../evil", [1])), Refused);
        yield return Put("an absolute name", () => Zip(archive => Add(archive, "/etc/evil", [1])), Refused);
        yield return Put("names of Windows'", () => Zip(archive => Add(archive, @"..\..\evil", [1])), Refused);
        yield return Put("a name of 60,000 letters", () => Zip(archive => Add(archive, new string('a', 60_000), [1])), Refused);
        yield return Put("a file in a file", () => Zip(archive => Add(archive, "labels.txt/a", [1])), Refused);
        yield return Put("a file twice", () => Zip(archive => Add(archive, "labels.txt", [1])), Refused);
        yield return Put("60,000 files", () => Zip(archive => Array.ForEach(Enumerable.Range(0, 60_000).ToArray(), at => Add(archive, $"{at}", []))), Refused);
        yield return Put("a directory of a million entries that says it has none", () => Lying(), Refused);
        yield return Put("no zip, 100 MB", () => Fill(100_000_000, (byte)'P'), Refused);
        yield return Put("nothing but a zip's end", () => [.. "PK\u0005\u0006"u8, .. new byte[18]], Refused);
        yield return Put("a bundle of 300 MB", () => Fill(260_000_000, 0), Refused);
        yield return Put("a manifest of 5 MB", () => Zip(archive => Replace(archive, "model.json", Fill(5_000_000, (byte)' '))), Refused);
        var whole = Zip();
        var random = new Random(1);
        for (var round = 0; round < rounds; round++)
        {
            var damaged = round % 4 == 3 ? whole[..random.Next(whole.Length)] : Changed(whole, random, round);
            // What lies in the recorded time of a file or behind it may change without harm.
            yield return Put($"a bundle, damage {round}", () => damaged, [.. Refused, 200, 201]);
        }
    }

    public void Dispose() => Directory.Delete(_models, recursive: true);

    private Attack Drop(string name, byte[] photo, Action<string> damage) => new(
        name,
        async target =>
        {
            var (hidden, folder) = (Path.Combine(_models, $".{Name}"), Path.Combine(_models, Name));
            Write(hidden, Manifest(Name));
            damage(hidden);
            Directory.Move(hidden, folder);
            try
            {
                // 503: it is known and does not serve. 404: not looked at yet; where there is no manifest to be seen, for ever.
                var seen = File.Exists(Path.Combine(folder, "model.json"));
                var status = 404;
                for (var tries = 0; tries < 200 && (status == 404 || status == 503 && await target.IsLoadingAsync(Name)) && seen; tries++)
                {
                    await Task.Delay(20);
                    status = await target.AskAsync($"GET /models/{Name}/classes HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
                }

                return status == 200 ? 0 : await target.PredictAsync("", photo);
            }
            finally
            {
                Directory.Delete(folder, recursive: true);
                while (await target.AskAsync($"GET /models/{Name} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n") == 200)
                {
                    await Task.Delay(20);
                }
            }
        },
        200);

    private static Attack Put(string name, Func<byte[]> zip, int[] allowed) => new(
        name,
        target =>
        {
            var body = zip();
            var head = $"PUT /models/{Name} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{Authorization}Content-Length: {body.Length}\r\n\r\n";
            return target.AskAsync(head, body);
        },
        allowed);

    private static JsonObject Manifest(string name)
    {
        var manifest = JsonNode.Parse(File.ReadAllText(Path.Combine(Grocery, "model.json")))!.AsObject();
        foreach (var other in (string[])["fp32", "fp16"])
        {
            manifest["files"]!.AsObject().Remove(other);
        }

        // The one variant serves on every processor.
        manifest["name"] = name;
        manifest["samples"] = new JsonArray();
        manifest.Remove("tfjs");
        return manifest;
    }

    private static void Write(string folder, JsonObject manifest)
    {
        Directory.CreateDirectory(folder);
        foreach (var file in Files)
        {
            File.Copy(Path.Combine(Grocery, file), Path.Combine(folder, file));
        }

        File.WriteAllText(Path.Combine(folder, "model.json"), manifest.ToJsonString());
    }

    private static void Edit(string folder, Action<JsonObject> edit, double? confidence = null)
    {
        var path = Path.Combine(folder, "model.json");
        var manifest = JsonNode.Parse(File.ReadAllText(path))!.AsObject();
        edit(manifest);
        if (confidence is not null)
        {
            (manifest["files"]!["int8"]!["predictions"] ?? manifest["sample"]!["predictions"]!)[0]!["confidence"] = confidence;
        }

        File.WriteAllText(path, manifest.ToJsonString());
    }

    /// <summary>Has the manifest list the weights as they are.</summary>
    private static void Describe(string folder) => Edit(folder, manifest =>
    {
        using var file = File.OpenRead(Path.Combine(folder, Files[0]));
        manifest["files"]!["int8"]!["bytes"] = file.Length;
        manifest["files"]!["int8"]!["sha256"] = Convert.ToHexStringLower(SHA256.HashData(file));
    });

    private static void Cut(string path, int length)
    {
        using var file = File.OpenWrite(path);
        file.SetLength(length);
    }

    private static void Grow(string path, long length)
    {
        File.Delete(path);
        using var file = File.Create(path);
        file.SetLength(length);
    }

    private static void Damage(string path, int seed)
    {
        var random = new Random(seed);
        var content = File.ReadAllBytes(path);
        for (var change = 0; change < 2000; change++)
        {
            content[random.Next(content.Length)] ^= 0xFF;
        }

        File.WriteAllBytes(path, content);
    }

    private static void Link(string path, string target)
    {
        File.Delete(path);
        File.CreateSymbolicLink(path, target);
    }

    private static void Pipe(string path)
    {
        File.Delete(path);
        using var made = System.Diagnostics.Process.Start("mkfifo", [path]);
        made.WaitForExit();
    }

    private static byte[] Zip(Action<ZipArchive>? change = null)
    {
        using var zip = new MemoryStream();
        using (var archive = new ZipArchive(zip, ZipArchiveMode.Update, leaveOpen: true))
        {
            Add(archive, "model.json", Encoding.UTF8.GetBytes(Manifest(Name).ToJsonString()));
            foreach (var file in Files)
            {
                Add(archive, file, File.ReadAllBytes(Path.Combine(Grocery, file)));
            }

            change?.Invoke(archive);
        }

        return zip.ToArray();
    }

    private static void Add(ZipArchive archive, string name, byte[] content)
    {
        using var entry = archive.CreateEntry(name, CompressionLevel.Fastest).Open();
        entry.Write(content);
    }

    private static void Zeros(ZipArchive archive, string name, long length)
    {
        using var entry = archive.CreateEntry(name, CompressionLevel.Fastest).Open();
        var block = new byte[1 << 20];
        for (var left = length; left > 0; left -= block.Length)
        {
            entry.Write(block, 0, (int)Math.Min(left, block.Length));
        }
    }

    private static void Replace(ZipArchive archive, string name, byte[] content)
    {
        archive.GetEntry(name)!.Delete();
        Add(archive, name, content);
    }

    /// <summary>APPNOTE.TXT 4.3.12: entries of 46 bytes and no name, which the zip's end does not count.</summary>
    private static byte[] Lying()
    {
        const int Entries = 1_000_000, EntryBytes = 46;
        var zip = new byte[(Entries * EntryBytes) + 22];
        for (var entry = 0; entry < Entries; entry++)
        {
            "PK\u0001\u0002"u8.CopyTo(zip.AsSpan(entry * EntryBytes));
        }

        "PK\u0005\u0006"u8.CopyTo(zip.AsSpan(Entries * EntryBytes));
        return zip;
    }

    private static byte[] Fill(int length, byte value)
    {
        var bytes = new byte[length];
        Array.Fill(bytes, value);
        return bytes;
    }

    private static byte[] Changed(byte[] whole, Random random, int round)
    {
        byte[] changed = [.. whole];
        // The directory stands at the end: half of the damages go there.
        var from = round % 2 == 0 ? 0 : Math.Max(0, changed.Length - 600);
        for (var change = random.Next(1, 5); change > 0; change--)
        {
            changed[random.Next(from, changed.Length)] = (byte)random.Next(256);
        }

        return changed;
    }
}
