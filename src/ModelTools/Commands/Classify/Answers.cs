using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using Spectre.Console;
using Whatsit.Inference;

namespace Whatsit.ModelTools.Commands.Classify;

/// <summary>A way to write answers.</summary>
internal interface IAnswers
{
    void Add(string photo, Classification answer);

    void Add(string photo, string problem);

    void Finish();
}

internal class JsonAnswers(TextWriter writer) : IAnswers
{
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    protected static JsonSerializerOptions Readable { get; } = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private readonly JsonArray _all = [];

    protected TextWriter Writer { get; } = writer;

    public virtual void Add(string photo, Classification answer)
    {
        var json = ToJson(photo, answer);
        if (answer.Explanation is { } explanation)
        {
            json["explanation"] = new JsonObject { ["method"] = explanation.Method, ["runs"] = explanation.Runs };
        }

        Add(json);
    }

    public void Add(string photo, string problem) => Add(new JsonObject { ["file"] = photo, ["error"] = problem });

    public virtual void Finish() => Writer.WriteLine(_all.ToJsonString(Indented));

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
internal sealed class JsonLines(TextWriter writer, ResultFile? file) : JsonAnswers(writer)
{
    public override void Add(string photo, Classification answer)
    {
        file?.Check(answer);
        base.Add(photo, answer);
    }

    public override void Finish()
    {
    }

    protected override void Add(JsonObject answer) => Writer.WriteLine(answer.ToJsonString(Readable));
}

/// <summary>https://www.rfc-editor.org/rfc/rfc4180</summary>
internal sealed class CsvAnswers : IAnswers
{
    public const string Header = "file,rank,label,index,confidence,abstained,error";

    private readonly TextWriter _writer;

    public CsvAnswers(TextWriter writer, bool isNew)
    {
        _writer = writer;
        if (isNew)
        {
            writer.WriteLine(Header);
        }
    }

    public void Add(string photo, Classification answer)
    {
        // In one piece: a run that goes on with a file must not find half an answer.
        var lines = new StringBuilder();
        for (var rank = 0; rank < answer.Predictions.Count; rank++)
        {
            var prediction = answer.Predictions[rank];
            lines.Append(CultureInfo.InvariantCulture, $"{Field(photo)},{rank + 1},{Field(prediction.Label)},{prediction.Index},{prediction.Confidence},")
                .Append(answer.Abstained ? "true," : "false,").Append(_writer.NewLine);
        }

        _writer.Write(lines.ToString());
    }

    public void Add(string photo, string problem) => _writer.WriteLine($"{Field(photo)},,,,,,{Field(problem)}");

    public void Finish()
    {
    }

    private static string Field(string text) => text.AsSpan().IndexOfAny(",\"\r\n") < 0 ? text
        : $"\"{text.Replace("\"", "\"\"", StringComparison.Ordinal)}\"";
}

/// <summary>One picture for people: all its labels.</summary>
internal sealed class OneTable : IAnswers
{
    private const int BarLength = 24;

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
                { Runs: > 0 } explanation => $" · explained by {explanation.Method}, {Counted.Of(explanation.Runs, "run")}",
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
internal sealed class TableOfMany : IAnswers
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
        // A row for each label: one that takes two lines keeps its confidence beside it.
        foreach (var (rank, prediction) in answer.Predictions.Index())
        {
            _table.AddRow(rank == 0 ? Markup.Escape(photo) : "", Markup.Escape(prediction.Label), $"{prediction.Confidence:P1}",
                rank == 0 ? $"{answer.Timings.Total.TotalMilliseconds:0.0}" : "");
        }

        if (answer.Abstained)
        {
            _table.AddRow("", "not sure", "", "");
        }
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
