using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Spectre.Console;
using Whatsit.Inference;
using Whatsit.Inference.Catalog;
using Whatsit.Inference.Explaining;
using Whatsit.ModelTools.Evaluation;

namespace Whatsit.ModelTools.Commands;

/// <summary><c>whatsit classify PHOTO…</c>: the server's own code path, without the server.</summary>
internal static class ClassifyCommand
{
    private const int BarLength = 24;

    public static Command Create()
    {
        var photos = new Argument<string[]>("photo")
        {
            Description =
                "Pictures: files, folders, patterns ('shop/*.jpg'), lists (.txt or .csv with a path per line), or - for standard input: a picture, or paths.",
            Arity = ArgumentArity.OneOrMore,
        };
        var models = CommonOptions.Models();
        var model = CommonOptions.Model("--model", "The bundle's name (default: the only one there is).", models);
        var variant = new Option<string>("--variant")
        {
            Description = "fp32, fp16, int8, or auto: what the server would take here.",
            DefaultValueFactory = _ => "auto"
        };
        var topK = new Option<int?>("--top-k")
        {
            Description =
            "How many labels per picture (default: 5 for one picture, or all that there are; 1 for several)."
        };
        var json = CommonOptions.Json();
        var lines = new Option<bool>("--jsonl") { Description = "JSON, a line for each picture as soon as it is answered." };
        var csv = new Option<bool>("--csv") { Description = "Comma-separated values, a line for each label." };
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
        var command = new Command("classify", "Classify photos: labels out, as the server would answer.") { photos, model, models, variant,
            topK, json, lines, csv, explain, runs };
        command.Validators.Add(result =>
        {
            if (new[] { json, lines, csv }.Count(option => result.GetValue(option)) > 1)
            {
                result.AddError("Only one of --json, --jsonl and --csv can be written at a time.");
            }

            if (result.GetValue(explain) is { } picture && !picture.EndsWith(".png", StringComparison.OrdinalIgnoreCase))
            {
                result.AddError($"--explain is '{picture}'; it writes a PNG file, whose name must end in .png.");
            }

            if (result.GetValue(runs) is < 0 or > 1024)
            {
                result.AddError($"--occlusion-runs is {result.GetValue(runs)}; it must be from 0 to 1024.");
            }
        });
        command.SetAction(async (arguments, cancellationToken) =>
        {
            var catalog = ModelFolder.Open(arguments.GetValue(models)!);
            var folder = catalog.Find(arguments.GetValue(model) ?? catalog.Default("--model"));
            var found = await Photos.FindAsync(arguments.GetValue(photos)!, Console.OpenStandardInput(), cancellationToken);
            IAnswers answers = arguments.GetValue(json) ? new JsonAnswers() : arguments.GetValue(lines) ? new JsonLines()
                : arguments.GetValue(csv) ? new CsvAnswers()
                : found is [_] ? new OneTable() : new TableOfMany();
            var drawn = arguments.GetValue(explain);
            if (drawn is not null && found is not [_])
            {
                throw new InferenceException(InferenceError.InvalidRequest, $"--explain explains one picture; here are {found.Count}.");
            }

            using var evaluator = new Evaluator(new ExplainOptions { OcclusionRuns = arguments.GetValue(runs) });
            return await ClassifyAsync(evaluator, found, folder, arguments.GetValue(variant)!, arguments.GetValue(topK), drawn, answers, cancellationToken);
        });
        return command;
    }

    /// <summary>Answers every photo; one that fails is said, and makes the exit code 1.</summary>
    private static async Task<int> ClassifyAsync(Evaluator evaluator, IReadOnlyList<NamedPhoto> photos, string folder, string variant, int? topK, string? drawn,
        IAnswers answers, CancellationToken cancellationToken)
    {
        var manifest = Bundle.ReadManifest(folder);
        using var lease = evaluator.Load(manifest, folder, Variants.Choose(manifest, variant));
        var options = topK is { } asked ? new ClassifyOptions(asked) : answers is TableOfMany ? new ClassifyOptions(1) : ClassifyOptions.For(lease.Model);
        options = options with { Explain = drawn is not null };
        evaluator.Classifier.Check(lease.Model, options);

        var failures = 0;
        var warm = false;
        foreach (var photo in photos)
        {
            try
            {
                var bytes = await photo.ReadAsync(cancellationToken);
                for (; !warm; warm = true)
                {
                    // The first run compiles and allocates; its time is nobody's.
                    await evaluator.Classifier.ClassifyAsync(lease.Model, bytes, options with { Explain = false }, cancellationToken);
                }

                var answer = await evaluator.Classifier.ClassifyAsync(lease.Model, bytes, options, cancellationToken);
                if (drawn is not null)
                {
                    await DrawAsync(evaluator, lease.Model, bytes, answer, drawn, cancellationToken);
                }

                answers.Add(photo.Name, answer);
            }
            catch (InferenceException exception)
            {
                failures++;
                answers.Add(photo.Name, exception.Message);
            }
        }

        answers.Finish();
        return failures == 0 ? 0 : 1;
    }

    private static async Task DrawAsync(Evaluator evaluator, Model model, byte[] photo, Classification answer, string file, CancellationToken cancellationToken)
    {
        var picture = await evaluator.Overlay.DrawAsync(model, photo, answer.Predictions[0].Map!, cancellationToken);
        try
        {
            await File.WriteAllBytesAsync(file, picture, cancellationToken);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new InferenceException(InferenceError.InvalidRequest, $"'{file}' cannot be written: {exception.Message}", exception);
        }
    }

    /// <summary>A way to write answers.</summary>
    private interface IAnswers
    {
        void Add(string photo, Classification answer);

        void Add(string photo, string problem);

        void Finish();
    }

    private class JsonAnswers : IAnswers
    {
        private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

        private readonly JsonArray _all = [];

        public void Add(string photo, Classification answer)
        {
            var json = ToJson(photo, answer);
            if (answer.Explanation is { } explanation)
            {
                json["explanation"] = new JsonObject { ["method"] = explanation.Method, ["runs"] = explanation.Runs };
            }

            Add(json);
        }

        public void Add(string photo, string problem) => Add(new JsonObject { ["file"] = photo, ["error"] = problem });

        public virtual void Finish() => Console.WriteLine(_all.ToJsonString(Indented));

        protected virtual void Add(JsonObject answer) => _all.Add(answer);

        private static JsonObject ToJson(string photo, Classification answer) => new()
        {
            ["file"] = photo,
            ["model"] = answer.Model,
            ["version"] = answer.Version,
            ["variant"] = answer.Variant,
            ["predictions"] = new JsonArray([.. answer.Predictions.Select(prediction => new JsonObject
            {
                ["label"] = prediction.Label,
                ["index"] = prediction.Index,
                ["confidence"] = prediction.Confidence,
            })]),
            ["abstained"] = answer.Abstained,
            ["image"] = new JsonObject
            {
                ["width"] = answer.Image.Width,
                ["height"] = answer.Image.Height,
                ["format"] = answer.Image.Format,
                ["bytes"] = answer.Image.Bytes
            },
            ["timing"] = new JsonObject
            {
                ["decodeMs"] = Math.Round(answer.Timings.Decode.TotalMilliseconds, 3),
                ["preprocessMs"] = Math.Round(answer.Timings.Preprocess.TotalMilliseconds, 3),
                ["queueMs"] = Math.Round(answer.Timings.Queue.TotalMilliseconds, 3),
                ["computeMs"] = Math.Round(answer.Timings.Compute.TotalMilliseconds, 3),
                ["totalMs"] = Math.Round(answer.Timings.Total.TotalMilliseconds, 3),
            },
        };
    }

    /// <summary>https://jsonlines.org</summary>
    private sealed class JsonLines : JsonAnswers
    {
        public override void Finish()
        {
        }

        protected override void Add(JsonObject answer) => Console.WriteLine(answer.ToJsonString());
    }

    /// <summary>https://www.rfc-editor.org/rfc/rfc4180</summary>
    private sealed class CsvAnswers : IAnswers
    {
        public CsvAnswers() => Console.WriteLine("file,rank,label,index,confidence,abstained,error");

        public void Add(string photo, Classification answer)
        {
            for (var rank = 0; rank < answer.Predictions.Count; rank++)
            {
                var prediction = answer.Predictions[rank];
                Console.WriteLine(string.Create(
                    CultureInfo.InvariantCulture,
                        $"{Field(photo)},{rank + 1},{Field(prediction.Label)},{prediction.Index},{prediction.Confidence},{(answer.Abstained ? "true" : "false")},"));
            }
        }

        public void Add(string photo, string problem) => Console.WriteLine($"{Field(photo)},,,,,,{Field(problem)}");

        public void Finish()
        {
        }

        private static string Field(string text) => text.AsSpan().IndexOfAny(",\"\r\n") < 0 ? text
            : $"\"{text.Replace("\"", "\"\"", StringComparison.Ordinal)}\"";
    }

    /// <summary>One picture for people: all its labels.</summary>
    private sealed class OneTable : IAnswers
    {
        public void Add(string photo, Classification answer)
        {
            var table = new Table().Border(TableBorder.Rounded).Title(Markup.Escape(Path.GetFileName(photo)));
            table.AddColumn("Label").AddColumn(new TableColumn("Confidence").RightAligned()).AddColumn("");
            foreach (var prediction in answer.Predictions)
            {
                table.AddRow(Markup.Escape(prediction.Label), $"{prediction.Confidence:P1}",
                    new string('█', (int)Math.Round(prediction.Confidence * BarLength)));
            }

            table.Caption(
                $"{answer.Image.Width} × {answer.Image.Height} {answer.Image.Format} · {answer.Timings.Total.TotalMilliseconds:0.0} " +
                $"ms{(answer.Abstained ? " · not sure" : "")}"
                + answer.Explanation switch
                {
                    { Runs: > 0 } explanation => $" · explained by {explanation.Method}, {explanation.Runs} runs",
                    { } explanation => $" · explained by {explanation.Method}",
                    null => "",
                });
            AnsiConsole.Write(table);
        }

        public void Add(string photo, string problem) => AnsiConsole.MarkupLineInterpolated($"[red]{photo}[/]: {problem}");

        public void Finish()
        {
        }
    }

    /// <summary>Several pictures for people: a row for each.</summary>
    private sealed class TableOfMany : IAnswers
    {
        private readonly Table _table = new Table().Border(TableBorder.Rounded).AddColumn("Photo").AddColumn("Label")
            .AddColumn(new TableColumn("Confidence").RightAligned())
            .AddColumn(new TableColumn("ms").RightAligned());

        private readonly List<double> _milliseconds = [];
        private int _count;
        private int _unsure;

        public void Add(string photo, Classification answer)
        {
            _count++;
            _unsure += answer.Abstained ? 1 : 0;
            _milliseconds.Add(answer.Timings.Total.TotalMilliseconds);
            _table.AddRow(
                Markup.Escape(photo),
                Markup.Escape(string.Join('\n', answer.Predictions.Select(prediction => prediction.Label)) + (answer.Abstained ? "\nnot sure" : "")),
                string.Join('\n', answer.Predictions.Select(prediction => $"{prediction.Confidence:P1}")),
                $"{answer.Timings.Total.TotalMilliseconds:0.0}");
        }

        public void Add(string photo, string problem)
        {
            _count++;
            _table.AddRow(Markup.Escape(photo), $"[red]{Markup.Escape(problem)}[/]", "", "");
        }

        public void Finish()
        {
            _milliseconds.Sort();
            _table.Caption(
                $"{Counted.Of(_count, "photo")}{(_unsure > 0 ? $" · {_unsure} not sure" : "")}{(_milliseconds.Count > 0 ? $" · median {_milliseconds[_milliseconds.Count / 2]:0.0} ms" : "")}");
            AnsiConsole.Write(_table);
        }
    }
}
