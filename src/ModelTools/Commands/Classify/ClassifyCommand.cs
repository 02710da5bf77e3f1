using System.CommandLine;
using Whatsit.Inference;
using Whatsit.Inference.Catalog;
using Whatsit.Inference.Explaining;
using Whatsit.ModelTools.Evaluation;

namespace Whatsit.ModelTools.Commands.Classify;

/// <summary><c>whatsit classify PHOTO…</c>: the server's own code path without the server, or any number of servers; one photo or any number.</summary>
internal static class ClassifyCommand
{
    /// <summary>The variable with the servers' API key: what stands on a command line, others see.</summary>
    public const string KeyVariable = "WHATSIT_API_KEY";

    public static Command Create()
    {
        var photos = new Argument<string[]>("photo")
        {
            Description = "Pictures: files, folders, patterns ('shop/*.jpg', 'shop/**/*.jpg'), lists (.txt or .csv with a path per line), archives (.tar, "
                + ".tar.gz), or - for standard input: a picture, paths, or an archive.",
            Arity = ArgumentArity.OneOrMore,
        };
        var models = CommonOptions.Models();
        var model = CommonOptions.Model("--model", "The bundle's name (default: the only one there is, or the servers' own).", models);
        var variant = new Option<string>("--variant")
        {
            Description = "fp32, fp16, int8, or auto: what the server would take here.",
            DefaultValueFactory = _ => "auto"
        };
        var topK = new Option<int?>("--top-k")
        {
            Description = "How many labels per picture (default: 5 for one picture, or all that there are; 1 for a table of several).",
        };
        var json = CommonOptions.Json();
        var lines = new Option<bool>("--jsonl") { Description = "JSON, a line for each picture as soon as it and those before it are answered." };
        var csv = new Option<bool>("--csv") { Description = "Comma-separated values, a line for each label." };
        var output = new Option<string?>("--output", "-o")
        {
            Description = "Write to this file (.jsonl or .csv), and go on with it: what it holds is not asked again.",
            HelpName = "file",
        };
        var servers = new Option<string[]>("--server")
        {
            Description = $"Ask this server instead of a model here; any number of them, by what each can do. Their API key stands in {KeyVariable}.",
            HelpName = "url",
        };
        var shard = new Option<string?>("--shard")
        {
            Description = "Only this share of the pictures, such as 0/4 to 3/4: each picture is in exactly one, always the same.",
            HelpName = "i/n",
        };
        var explain = new Option<string?>("--explain")
        {
            Description = "Writes the picture to this file (.png), dark where nothing speaks for its best label; of one picture.",
            HelpName = "out.png",
        };
        var runs = new Option<int>("--occlusion-runs")
        {
            Description = "How many further runs --explain may take of a model without class activation maps (0 to 1024).",
            DefaultValueFactory = _ => new ExplainOptions().OcclusionRuns,
        };
        runs.Require(budget => budget is < 0 or > 1024 ? $"--occlusion-runs is {budget}; it must be from 0 to 1024." : null);
        var command = new Command("classify", "Classify photos, one or millions: labels out, as the server would answer.")
        {
            photos, model, models, variant, topK, json, lines, csv, output, servers, shard, explain, runs,
        };
        command.Validators.Add(result =>
        {
            var problem = new[] { json, lines, csv }.Count(option => result.GetValue(option)) > 1
                    ? "Only one of --json, --jsonl and --csv can be written at a time."
                : result.GetValue(explain) is { } picture && !picture.EndsWith(".png", StringComparison.OrdinalIgnoreCase)
                    ? $"--explain is '{picture}'; it writes a PNG file, whose name must end in .png."
                : result.GetValue(shard) is { } share && Shard.ProblemOf(share) is { } wrong ? wrong
                : result.GetValue(servers)!.Select(ServerPool.ProblemOf).FirstOrDefault(wrong => wrong is not null) is { } address ? address
                : result.GetValue(servers) is [_, ..] && result.GetResult(variant) is { Implicit: false }
                    ? "--variant is the servers' to choose; leave out one of --variant and --server."
                : result.GetValue(servers) is [_, ..] && result.GetValue(explain) is not null
                    ? "--explain explains by a model here; leave out one of --explain and --server."
                : result.GetValue(output) is { } file ? ProblemOf(file, result.GetValue(json), result.GetValue(lines) || result.GetValue(csv))
                : null;
            if (problem is not null)
            {
                result.AddError(problem);
            }
        });
        command.SetAction((arguments, cancellationToken) => RunAsync(
            new Request(
                arguments.GetValue(photos)!,
                arguments.GetValue(servers)!,
                arguments.GetValue(model),
                arguments.GetValue(models)!,
                arguments.GetValue(variant)!,
                arguments.GetValue(topK),
                arguments.GetValue(json) ? Format.Json
                    : arguments.GetValue(lines) ? Format.JsonLines
                    : arguments.GetValue(csv) || IsCsv(arguments.GetValue(output)) ? Format.Csv
                    : arguments.GetValue(output) is not null ? Format.JsonLines
                    : Format.Table,
                arguments.GetValue(output),
                arguments.GetValue(shard) is { } share ? Shard.Parse(share) : new Shard(0, 1),
                arguments.GetValue(explain),
                arguments.GetValue(runs)),
            cancellationToken));
        return command;
    }

    private static async Task<int> RunAsync(Request request, CancellationToken cancellationToken)
    {
        using var file = request.Output is { } path ? new ResultFile(path, request.Format == Format.Csv) : null;
        var inShare = (string name) => request.Shard.Has(name);
        var photos = Photos.FindAsync(request.Photos, Console.OpenStandardInput(), IsWanted, cancellationToken);

        // People get a table, and what it looks like shows with the second photo.
        var isOne = request.Format == Format.Table || request.Explain is not null;
        if (isOne)
        {
            var all = await photos.ToListAsync(cancellationToken);
            isOne = all is [_];
            photos = all.ToAsyncEnumerable();
            if (request.Explain is not null && !isOne)
            {
                throw new InferenceException(InferenceError.InvalidRequest, $"--explain explains one picture; here are {all.Count}.");
            }
        }

        var writer = file?.Writer ?? Console.Out;
        IAnswers answers = request.Format switch
        {
            Format.Json => new JsonAnswers(writer),
            Format.JsonLines => new JsonLines(writer, file),
            Format.Csv => new CsvAnswers(writer, file is null or { IsNew: true }),
            _ => isOne ? new OneTable() : new TableOfMany(),
        };
        var topK = request.TopK ?? (answers is TableOfMany ? 1 : (int?)null);
        using var evaluator = new Evaluator(new ExplainOptions { OcclusionRuns = request.OcclusionRuns });
        using var loaded = request.Servers.Count > 0 ? null : new LoadedModel(evaluator, request);
        using var pool = request.Servers.Count > 0
            ? new ServerPool([.. request.Servers.Select(server => new Uri(server))], request.Model, topK, Environment.GetEnvironmentVariable(KeyVariable))
            : null;
        using var local = loaded?.Asked(evaluator, topK, request.Explain);
        var asked = pool ?? (IAsked)local!;
        if (file is null)
        {
            using var all = new ManyPhotos(asked, answers, static (_, _) => { }, keepsPassing: true);
            var result = await all.RunAsync(photos, cancellationToken);
            answers.Finish();
            return result.Failed == 0 ? 0 : 1;
        }

        var progress = new PhotoProgress(file.Answered, TimeProvider.System);
        var counting = Task.Run(() => progress.Expect(Photos.Count(request.Photos, inShare, cancellationToken)), CancellationToken.None);
        using var many = new ManyPhotos(asked, answers, progress.Add, keepsPassing: false);
        var tally = await progress.RunAsync(() => many.RunAsync(photos, cancellationToken));
        progress.Finish();
        foreach (var (server, answered) in pool is { Answered: [_, _, ..] several } ? several : [])
        {
            Console.Error.WriteLine($"  {server}: {answered:N0}");
        }

        await counting;
        return tally.Failed == 0 ? 0 : 1;

        bool IsWanted(string name) => inShare(name) && file?.Has(name) != true;
    }

    private static bool IsCsv(string? output) => output?.EndsWith(".csv", StringComparison.OrdinalIgnoreCase) == true;

    private static string? ProblemOf(string output, bool isJson, bool isSaid) =>
        isJson ? "--json writes one array, which nothing can be added to; --output goes with --jsonl and --csv."
        : isSaid || new[] { ".csv", ".jsonl", ".ndjson" }.Contains(Path.GetExtension(output).ToLowerInvariant()) ? null
        : $"--output is '{output}'; its name must end in .jsonl or .csv, or --jsonl or --csv must say what it is.";

    private enum Format
    {
        Table,
        Json,
        JsonLines,
        Csv,
    }

    private sealed record Request(IReadOnlyList<string> Photos, IReadOnlyList<string> Servers, string? Model, string Models, string Variant, int? TopK,
        Format Format, string? Output, Shard Shard, string? Explain, int OcclusionRuns);

    /// <summary>The model of this machine, loaded.</summary>
    private sealed class LoadedModel : IDisposable
    {
        private readonly ModelLease _lease;

        public LoadedModel(Evaluator evaluator, Request request)
        {
            var catalog = ModelFolder.Open(request.Models);
            var folder = catalog.Find(request.Model ?? catalog.Default("--model"));
            var manifest = Bundle.ReadManifest(folder);
            _lease = evaluator.Load(manifest, folder, Variants.Choose(manifest, request.Variant));
        }

        public LocalModel Asked(Evaluator evaluator, int? topK, string? drawn)
        {
            var options = (topK is { } asked ? new ClassifyOptions(asked) : ClassifyOptions.For(_lease.Model)) with { Explain = drawn is not null };
            evaluator.Classifier.Check(_lease.Model, options);
            return new LocalModel(evaluator, _lease.Model, options, drawn);
        }

        public void Dispose() => _lease.Dispose();
    }
}
