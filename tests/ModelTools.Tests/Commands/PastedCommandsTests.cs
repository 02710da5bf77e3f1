using System.CommandLine.Parsing;
using System.IO.Compression;
using System.Text;
using System.Text.RegularExpressions;
using Whatsit.Inference.Imaging;
using Whatsit.ModelTools.Commands;
using Whatsit.ModelTools.Commands.Import;

namespace Whatsit.ModelTools.Tests.Commands;

/// <summary>What the documents say to paste is pasted: into bash, in their order, in a folder as they describe it, beside a server.</summary>
public sealed partial class PastedCommandsTests : IDisposable
{
    /// <summary>What begins so, or holds this, is not run here.</summary>
    private static readonly (string What, string Why)[] NotRun =
    [
        ("./build.sh", "builds or measures for minutes; its verb must be one"),
        ("--fine-tune", "needs the training program, 600 MB; ./build.sh training-check runs it"),
        ("/usr/share/datasets", "needs Debian's package; IDX files of ours are in TrainTests"),
        ("dotnet ", "publishes for a GPU, or adds a package from a feed"),
        ("docker ", "needs a container engine; ./build.sh image-check does without"),
        ("apt-get ", "needs root"),
        ("kubectl ", "needs a cluster; KubernetesTests hold the manifests to their schemas"),
        ("sc.exe ", "needs Windows"),
        ("gcloud ", "somebody else's cloud"), ("az ", "somebody else's cloud"), ("fly ", "somebody else's cloud"), ("heroku ", "somebody else's cloud"),
        ("npm ", "fetches packages"), ("npx ", "fetches packages"), ("cd client ", "fetches packages"), ("cd mobile ", "fetches packages"),
        ("export VITE_SERVER_URL=", "is for the build behind it"),
    ];

    private readonly string _folder = Directory.CreateTempSubdirectory("pasted").FullName;

    public static TheoryData<string> Documents => new(Directory.EnumerateFiles(WhatsitCommand.Root, "*.md", new EnumerationOptions
    {
        RecurseSubdirectories = true,
        MaxRecursionDepth = 3,
    }).Select(file => Path.GetRelativePath(WhatsitCommand.Root, file).Replace('\\', '/'))
        .Where(file => !file.Contains("node_modules/", StringComparison.Ordinal) && !file.StartsWith("artifacts/", StringComparison.Ordinal)));

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("README.md")]
    [InlineData("models/README.md")]
    public async Task Every_command_of_a_document_runs_as_it_stands(string document)
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "There is no bash.");
        LayOut();
        var script = new StringBuilder(Preamble);
        var commands = Commands(document).Where(command => !IsNotRun(command)).ToList();
        Assert.True(commands.Count > 10, $"Only {commands.Count} commands were found.");
        foreach (var command in commands)
        {
            // A server stays, and takes the place of the one before it.
            var line = command.Contains("whatsit serve", StringComparison.Ordinal)
                ? $"stop; {Comment().Replace(command, "").TrimEnd('&', ' ')} > serve.log 2>&1 & server=$!; serves" : command;
            script.Append($"printf '\\n@ %s\\n' {Quote(command)}\n{{ {line}\n}} || fail\n");
        }

        script.Append("stop\n");
        await File.WriteAllTextAsync(Path.Combine(_folder, "pasted.sh"), script.ToString(), TestContext.Current.CancellationToken);
        (var code, var output, var error) = await WhatsitCommand.RunProgramAsync("bash", _folder, [], "pasted.sh");
        Assert.True(code == 0, $"{output[Math.Max(0, output.Length - 3000)..]}\n{error}");
        Assert.Equal(commands.Count, output.Split('\n').Count(line => line.StartsWith("@ ", StringComparison.Ordinal)));
    }

    [Theory]
    [MemberData(nameof(Documents))]
    public void Every_command_that_is_not_run_names_verbs_options_and_files_that_there_are(string document)
    {
        var verbs = BuildVerb().Matches(File.ReadAllText(Path.Combine(WhatsitCommand.Root, "build.sh"))).Select(match => match.Groups[1].Value).ToHashSet();
        foreach (var command in Commands(document))
        {
            if (WhatsitLine().Match(Comment().Replace(command, "")) is { Success: true } whatsit && !command.Contains('$', StringComparison.Ordinal))
            {
                var parsed = Verbs.All().Parse([.. CommandLineParser.SplitCommandLine(whatsit.Groups[1].Value.TrimEnd('&', ' '))]);
                Assert.True(parsed.Errors.All(error => !error.Message.StartsWith("There is no option", StringComparison.Ordinal))
                    && parsed.UnmatchedTokens.Count == 0, $"{command}: {string.Join(' ', parsed.Errors)} {string.Join(' ', parsed.UnmatchedTokens)}");
            }

            if (!IsNotRun(command))
            {
                Assert.Contains(document, (string[])["README.md", "models/README.md"]);
                continue;
            }

            Assert.All(BuildCall().Matches(command).Select(match => match.Groups[1].Value), verb => Assert.Contains(verb, verbs));
            Assert.All(OwnFile().Matches(command).Select(match => match.Value),
                file => Assert.True(Path.Exists(Path.Combine(WhatsitCommand.Root, file)), $"{command}: there is no {file}."));
        }
    }

    // curl reads .curlrc, which leads localhost:8080 to the server of this test and makes refusals failures.
    private static string Preamble => $$"""
        export PATH={{Quote(AppContext.BaseDirectory)}}:$PATH HOME=$PWD CURL_HOME=$PWD XDG_CACHE_HOME=$PWD/cache PORT=0
        set -o pipefail
        server=
        stop() { [ -z "$server" ] || { kill "$server"; wait "$server"; server=; rm serve.log; }; true; }
        fail() { echo "failed"; cat serve.log; exit 1; }
        serves() {
          until grep -qs 'models serve' serve.log && grep -q 'Now listening on' serve.log; do kill -0 "$server" || return 1; sleep 0.1; done
          port=$(sed -nE 's/.*Now listening on: http.*:([0-9]+).*/\1/p' serve.log | head -1)
          printf 'silent\nshow-error\nfail-with-body\nconnect-to = "localhost:8080:localhost:%s"\n' "$port" > .curlrc
        }
        trap stop EXIT
        whatsit serve --models models > serve.log 2>&1 & server=$!; serves || fail

        """;

    /// <summary>A clone of the repository, and beside it what the documents take for granted: photos, lists, a model and its labels.</summary>
    private void LayOut()
    {
        foreach (var file in Directory.EnumerateFiles(Path.Combine(WhatsitCommand.Root, "models/grocery"), "*", SearchOption.AllDirectories))
        {
            var copy = Path.Combine(_folder, Path.GetRelativePath(WhatsitCommand.Root, file));
            Directory.CreateDirectory(Path.GetDirectoryName(copy)!);
            File.Copy(file, copy);
        }

        Directory.CreateSymbolicLink(Path.Combine(_folder, "tests"), Path.Combine(WhatsitCommand.Root, "tests"));

        var decoder = ImageDecoders.Create(new());
        var (train, val) = (new List<string>(), new List<string>());
        foreach (var (label, sample, count) in ((string, string, int)[])[("Aubergine", "aubergine", 40), ("Granny Smith apple", "granny-smith-apple", 40),
            ("Red bell pepper", "red-bell-pepper", 40), ("apple", "granny-smith-apple", 6), ("pear", "red-bell-pepper", 6), ("plum", "aubergine", 6)])
        {
            using var picture = decoder.Decode(File.ReadAllBytes(Path.Combine(_folder, "models/grocery/samples", $"{sample}.jpg")), null, default);
            for (var number = 0; number < count; number++)
            {
                var pixels = Cut(picture, number, edged: count < 40);
                var photo = Write($"photos/{label}/{number}.jpg", pixels);
                if (count < 40)
                {
                    Write($"fruits/{label}/{number}.jpg", pixels);
                }
                else
                {
                    (number % 3 == 0 ? val : train).Add($"{photo},{label}");
                }
            }
        }

        for (var number = 0; number < 12; number++)
        {
            Write($"things/{number}.jpg", Noise(number));
        }

        File.WriteAllLines(Path.Combine(_folder, "train.txt"), train);
        File.WriteAllLines(Path.Combine(_folder, "val.txt"), val);
        File.WriteAllLines(Path.Combine(_folder, "names.txt"), ["Apple", "Pear", "Plum"]);
        var models = Path.Combine(_folder, "others");
        var bundle = ModelImporter.Import(new ImportRequest(Path.Combine(WhatsitCommand.Root, "tests/data/tfjs/layers"), "fruit", models), _ => { }).Folder;
        File.Copy(Path.Combine(bundle, "model.onnx"), Path.Combine(_folder, "model.onnx"));
        File.Copy(Path.Combine(bundle, "labels.txt"), Path.Combine(_folder, "labels.txt"));
        ZipFile.CreateFromDirectory(bundle, Path.Combine(_folder, "fruit.zip"), CompressionLevel.NoCompression, includeBaseDirectory: true);

        string Write(string name, byte[] pixels)
        {
            Directory.CreateDirectory(Path.GetDirectoryName(Path.Combine(_folder, name))!);
            File.WriteAllBytes(Path.Combine(_folder, name), ImageDecoders.CreateEncoder(new DecodingOptions()).ToJpeg(pixels, Side, Side, 90));
            return name;
        }
    }

    private const int Side = 200;

    /// <summary>A photo of the same thing: another part, brighter or darker, and with a white edge where it shall be told apart.</summary>
    private static byte[] Cut(RgbImage picture, int seed, bool edged)
    {
        var random = new Random(seed);
        var side = random.Next(picture.Width * 9 / 10, picture.Width);
        var (left, top, gain) = (random.Next(picture.Width - side), random.Next(picture.Height - side), 0.9 + (0.2 * random.NextDouble()));
        var pixels = new byte[Side * Side * 3];
        for (var i = 0; i < pixels.Length; i++)
        {
            var (x, y) = (left + (i / 3 % Side * side / Side), top + (i / 3 / Side * side / Side));
            pixels[i] = edged && i / 3 % Side < Side / 20 ? (byte)255
                : (byte)Math.Clamp(picture.Pixels[(((y * picture.Width) + x) * 3) + (i % 3)] * gain, 0, 255);
        }

        return pixels;
    }

    private static byte[] Noise(int seed)
    {
        var pixels = new byte[Side * Side * 3];
        new Random(seed).NextBytes(pixels);
        return pixels;
    }

    /// <summary>The lines of the fenced shell blocks, and those of other blocks that begin with a prompt.</summary>
    private static IEnumerable<string> Commands(string document) =>
        Fence().Matches(File.ReadAllText(Path.Combine(WhatsitCommand.Root, document))).SelectMany(block => block.Groups["lines"].Value.Split('\n')
            .Where(line => block.Groups["language"].Value is "sh" or "bat" || line.StartsWith("$ ", StringComparison.Ordinal))
            .Select(line => line.StartsWith("$ ", StringComparison.Ordinal) ? line[2..] : line.Trim())
            .Where(line => line.Length > 0 && line[0] != '#'));

    private static bool IsNotRun(string command) => NotRun.Any(entry => command.StartsWith(entry.What, StringComparison.Ordinal)
        || (!entry.What.EndsWith(' ') && command.Contains(entry.What, StringComparison.Ordinal))
        || command.Contains($" {entry.What}", StringComparison.Ordinal));

    private static string Quote(string text) => $"'{text.Replace("'", "'\\''", StringComparison.Ordinal)}'";

    [GeneratedRegex(@"^```(?<language>\w*)\n(?<lines>.*?)^```", RegexOptions.Multiline | RegexOptions.Singleline)]
    private static partial Regex Fence();

    [GeneratedRegex(@"\s+#\s.*$")]
    private static partial Regex Comment();

    [GeneratedRegex(@"^(?:[\w]+=\S+ )*whatsit (.+)$")]
    private static partial Regex WhatsitLine();

    [GeneratedRegex(@"^  ([a-z0-9-]+)\)", RegexOptions.Multiline)]
    private static partial Regex BuildVerb();

    [GeneratedRegex(@"build\.sh ([a-z][a-z0-9-]*)")]
    private static partial Regex BuildCall();

    [GeneratedRegex(@"(?<=\s)(?:deploy|src|tests)/[\w./-]+")]
    private static partial Regex OwnFile();
}
