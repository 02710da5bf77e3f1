using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using Whatsit.Benchmarks.Load;
using Whatsit.Benchmarks.Photos;
using Whatsit.Inference.Catalog;
using Whatsit.ModelTools.Evaluation;

namespace Whatsit.Benchmarks;

/// <summary>One measurement of what cannot be avoided, in CPU milliseconds.</summary>
internal sealed record FloorRow(int Round, string Variant, string Size, double Run, double Decode);

/// <summary>One measurement of a server under load.</summary>
internal sealed record LoadRow(int Round, string Server, string Variant, string Size, int Connections, LoadResult Result);

/// <summary>What a server held when it had been left alone after a format.</summary>
internal sealed record CalmRow(string Server, string Size, double MemoryMb);

/// <summary>One measurement of our server with requests on a schedule.</summary>
internal sealed record OpenRow(int Round, double Factor, double Capacity, OpenLoopResult Result);

/// <summary>
/// Everything measured, as Markdown: medians over the rounds. Ratios are taken within a round, so that a slow moment of the machine cancels out.
/// </summary>
internal sealed class Report(ModelManifest manifest, IReadOnlyList<Photo> photos, IReadOnlyList<Photo> formats)
{
    /// <summary>Our server's name in the tables.</summary>
    public const string Us = "Whatsit";

    private const string TiersBegin = "<!-- ./build.sh bench --parts tiers -->", TiersEnd = "<!-- end of tiers -->";

    private readonly List<FloorRow> _floors = [];
    private readonly List<LoadRow> _loads = [];
    private readonly List<CalmRow> _calms = [];
    private readonly List<OpenRow> _opens = [];
    private readonly List<LayerRow> _layers = [];
    private readonly List<DecoderRow> _decoders = [];
    private readonly List<JpegDecoding> _jpegs = [];
    private readonly List<string> _missing = [];
    private readonly List<(string Variant, Endurance Endurance)> _endurances = [];
    private readonly List<(string Server, MemoryHeld Memory)> _memories = [];
    private readonly List<TierRow> _tiers = [];

    public void Add(FloorRow row) => _floors.Add(row);

    public void Add(LoadRow row) => _loads.Add(row);

    public void Add(CalmRow row) => _calms.Add(row);

    public void Add(OpenRow row) => _opens.Add(row);

    public void Add(TierRow row) => _tiers.Add(row);

    public void Add(string variant, Endurance endurance) => _endurances.Add((variant, endurance));

    public void Add(string server, MemoryHeld memory) => _memories.Add((server, memory));

    public void Add(IReadOnlyList<LayerRow> rows) => _layers.AddRange(rows);

    public void Add(IReadOnlyList<DecoderRow> rows) => _decoders.AddRange(rows);

    public void Add(IReadOnlyList<JpegDecoding> rows) => _jpegs.AddRange(rows);

    public void Missing(string sentence) => _missing.Add(sentence);

    /// <summary>All tables that have something to say.</summary>
    public string Results()
    {
        var text = new StringBuilder();
        Headline(text, "Picture", photos);
        Loads(text);
        FormatsOf(text);
        LayersOf(text);
        DecodersOf(text);
        Jpegs(text);
        Opens(text);
        Endurances(text);
        Memories(text);
        text.Append(TierTable());
        return text.ToString().TrimEnd() + Environment.NewLine;
    }

    /// <summary>The file beside this program: how to measure, where it was measured, the results.</summary>
    public string Readme() => $"""
        # Benchmarks

        `./build.sh bench` publishes the server, starts it and its peers in processes of their own, drives them over keep-alive connections, prints these tables and
        writes them here. `./build.sh bench --quick` takes a minute or two, `./build.sh bench --help` says what else there is.

        The figure to compare is **CPU milliseconds per request** of all of a server's processes, from `/proc`; a busy machine distorts it least. Everything that is
        compared takes turns within each round; a ratio is taken within its round, and the table shows medians over the rounds. The *floor* is what no
        server can do without: the bare `Run` of ONNX Runtime plus decoding and preprocessing, on one thread per processor. Load, server and peers share the
        machine, so requests per second and latencies are those of a machine that also carries its own clients.

        The peers run the same `model.onnx`, one worker or request per processor, written as their authors would write them: [peers/node](peers/node/server.mjs),
        ASP.NET Core with [peers/imagesharp](peers/imagesharp/Program.cs) and with [peers/mlnet](peers/mlnet/Program.cs), [peers/fastapi](peers/fastapi/server.py)
        (TorchScript with the weights of the same file). *Page faults* are pages that a server touches for the first time (`minflt` of `/proc/PID/stat`): each costs
        the kernel a call and mostly 4 KB of zeros. Pictures are drawn by the program (`Photos/`) with the edges, grain and file sizes of photos:
        {string.Join(", ", photos.Select(photo => $"{photo.Name} {photo.Files.Average(file => file.Length) / 1000:N0} kB"))}.

        Measured on {DateTime.UtcNow:yyyy-MM-dd} with `{Command}`: {Machine()}. Model: {manifest.Name}, version {manifest.Version}.

        {Results()}
        """;

    /// <summary>What a second tier costs, between marks; nothing where it was not measured.</summary>
    public string TierTable()
    {
        if (_tiers.Count == 0)
        {
            return "";
        }

        var text = new StringBuilder(TiersBegin).AppendLine().AppendLine();
        text.AppendLine("A front that decodes, prepares and judges before two servers that compute, beside one server that does it all, on this one machine:")
            .AppendLine("the CPU time is that of all processes, and ratios and differences are taken within a round.").AppendLine();
        text.Append(CultureInfo.InvariantCulture, $"Measured on {DateTime.UtcNow:yyyy-MM-dd} with `{Command}`: {Machine()}. ")
            .AppendLine(CultureInfo.InvariantCulture, $"Model: {manifest.Name}.").AppendLine();
        text.AppendLine("| Picture | Connections | Servers | CPU ms/request | added | ÷ one server | p50 ms | added | ÷ one server | requests/s |");
        text.AppendLine("|---|--:|---|--:|--:|--:|--:|--:|--:|--:|");
        foreach (var rows in _tiers.GroupBy(row => (row.Size, row.Connections, row.Server)))
        {
            var one = _tiers.Where(row => (row.Size, row.Connections, row.Server) == (rows.Key.Size, rows.Key.Connections, Tiers.One))
                .ToDictionary(row => row.Round, row => row.Result);
            text.Append(CultureInfo.InvariantCulture, $"| {rows.Key.Size} | {rows.Key.Connections} | {rows.Key.Server} ");
            Compared(result => result.CpuMs);
            Compared(result => result.P50);
            text.AppendLine(CultureInfo.InvariantCulture, $"| {Median(rows, row => row.Result.PerSecond):0.0} |");

            void Compared(Func<LoadResult, double> value)
            {
                text.Append(CultureInfo.InvariantCulture, $"| {Median(rows, row => value(row.Result)):0.00} ");
                _ = rows.Key.Server == Tiers.One ? text.Append("| | ") : text.Append(CultureInfo.InvariantCulture,
                    $"| {Median(rows, row => value(row.Result) - value(one[row.Round])):0.00} "
                    + $"| {Median(rows, row => value(row.Result) / value(one[row.Round])):0.00} ");
            }
        }

        return text.AppendLine().Append(TiersEnd).AppendLine().ToString();
    }

    /// <summary>Puts that table in place of the one that a file has, or behind what it has.</summary>
    public static void Replace(string file, string table)
    {
        var text = File.ReadAllText(file);
        var begin = text.IndexOf(TiersBegin, StringComparison.Ordinal);
        var end = text.IndexOf(TiersEnd, StringComparison.Ordinal) + TiersEnd.Length;
        File.WriteAllText(file, begin < 0 ? $"{text.TrimEnd()}\n\n{table}" : $"{text[..begin]}{table.TrimEnd()}{text[end..]}");
        Console.WriteLine($"Written to {file}");
    }

    private static string Command => string.Join(' ', ["./build.sh bench", .. Environment.GetCommandLineArgs().Skip(1)]);

    private static string Machine()
    {
        var processor = File.ReadLines("/proc/cpuinfo").FirstOrDefault(line => line.StartsWith("model name", StringComparison.Ordinal))?.Split(':')[1].Trim()
            ?? RuntimeInformation.ProcessArchitecture.ToString();
        var load = File.ReadAllText("/proc/loadavg").Split(' ')[1];
        return $"{processor}, {Environment.ProcessorCount} processors, {RuntimeInformation.OSDescription}, {RuntimeInformation.FrameworkDescription}; load " +
            $"average over five minutes {load}";
    }

    private void Headline(StringBuilder text, string what, IReadOnlyList<Photo> pictures)
    {
        var cells = Cells(pictures).Where(cell => Common(cell.Size, cell.Variant, Us).Any()).ToList();
        if (cells.Count == 0)
        {
            return;
        }

        var peers = _loads.Select(row => row.Server).Where(server => server != Us).Distinct().ToList();
        text.AppendLine("At 8 connections, CPU milliseconds per request compared:").AppendLine();
        text.AppendLine(string.Concat([$"| {what} | Weights | server ÷ floor | server ÷ `Run` |", .. peers.Select(peer => $" {peer} ÷ {Us} |")]));
        text.AppendLine(string.Concat(["|---|---|--:|--:|", .. peers.Select(_ => "--:|")]));
        foreach (var (size, variant) in cells)
        {
            var us = Common(size, variant, Us).ToDictionary(row => row.Round, row => row.Result.CpuMs);
            var floor = _floors.Where(row => row.Size == size && row.Variant == variant).ToDictionary(row => row.Round);
            text.Append(CultureInfo.InvariantCulture,
                $"| {size} | {variant} | {Median(us, row => row.Value / (floor[row.Key].Run + floor[row.Key].Decode)):0.00} | " +
                $"{Median(us, row => row.Value / floor[row.Key].Run):0.00} |");
            foreach (var peer in peers)
            {
                text.Append(CultureInfo.InvariantCulture, $" {Text(Median(Common(size, variant, peer), row => row.Result.CpuMs / us[row.Round]), "0.00")} |");
            }

            text.AppendLine();
        }

        foreach (var sentence in _missing.Distinct())
        {
            text.AppendLine().AppendLine(CultureInfo.InvariantCulture, $"Not measured: {sentence}");
        }

        text.AppendLine();
    }

    private void Loads(StringBuilder text)
    {
        if (!Cells(photos).Any())
        {
            return;
        }

        text.AppendLine("| Picture | Weights | Server | Connections | CPU ms/request | page faults/request | requests/s | p50 ms | p99 ms | memory MB |");
        text.AppendLine("|---|---|---|--:|--:|--:|--:|--:|--:|--:|");
        foreach (var (size, variant) in Cells(photos))
        {
            var floor = _floors.Where(row => row.Size == size && row.Variant == variant).ToList();
            text.AppendLine(CultureInfo.InvariantCulture, $"| {size} | {variant} | *bare `Run`* | | {Median(floor, row => row.Run):0.00} | | | | | |");
            text.AppendLine(CultureInfo.InvariantCulture,
                $"| {size} | {variant} | *decode + preprocess* | | {Median(floor, row => row.Decode):0.00} | | | | | |");
            foreach (var rows in _loads.Where(row => row.Size == size && row.Variant == variant).GroupBy(row => (row.Server, row.Connections)))
            {
                text.Append(CultureInfo.InvariantCulture,
                    $"| {size} | {variant} | {rows.Key.Server} | {rows.Key.Connections} | {Median(rows, row => row.Result.CpuMs):0.00} | " +
                    $"{Median(rows, row => row.Result.PageFaults):N0} | {Median(rows, row => row.Result.PerSecond):0.0} ");
                text.AppendLine(CultureInfo.InvariantCulture,
                    $"| {Median(rows, row => row.Result.P50):0.0} | {Median(rows, row => row.Result.P99):0.0} | {rows.Max(row => row.Result.MemoryMb):0} |");
            }
        }

        text.AppendLine()
            .AppendLine("Memory is the resident set, for several processes the sum of their proportional shares: the largest of all rounds.").AppendLine();
    }

    private void FormatsOf(StringBuilder text)
    {
        if (_calms.Count == 0)
        {
            return;
        }

        text.AppendLine(CultureInfo.InvariantCulture,
            $"What else people send: {string.Join("; ", formats.Select(photo => $"{photo.Name} {photo.Files[0].Length / 1000:N0} kB"))}.").AppendLine();
        Headline(text, "Format", formats);
        text.AppendLine("| Format | Server | CPU ms/request | page faults/request | memory MB in between | 15 seconds after |");
        text.AppendLine("|---|---|--:|--:|--:|--:|");
        foreach (var calm in _calms)
        {
            var rows = _loads.Where(row => row.Size == calm.Size && row.Server == calm.Server).ToList();
            text.Append(CultureInfo.InvariantCulture, $"| {calm.Size} | {calm.Server} | {Median(rows, row => row.Result.CpuMs):0.0} ");
            text.AppendLine(CultureInfo.InvariantCulture,
                $"| {Median(rows, row => row.Result.PageFaults):N0} | {rows.Max(row => row.Result.MemoryMb):0} | {calm.MemoryMb:0} |");
        }

        text.AppendLine();
    }

    private void LayersOf(StringBuilder text)
    {
        if (_layers.Count == 0)
        {
            return;
        }

        text.AppendLine("The layers one by one (fp32, one call after the other, BenchmarkDotNet): milliseconds, and the managed bytes that a call allocates.")
            .AppendLine();
        text.AppendLine(string.Concat(["| Layer |", .. photos.Select(photo => $" {photo.Name} | bytes |")]));
        text.AppendLine(string.Concat(["|---|", .. photos.Select(_ => "--:|--:|")]));
        foreach (var layer in _layers.Select(row => row.Layer).Distinct())
        {
            var cells = photos.Select(photo => _layers.Single(row => row.Layer == layer && row.Size == photo.Name));
            text.AppendLine(string.Concat([$"| {layer} |",
                .. cells.Select(row => string.Create(CultureInfo.InvariantCulture, $" {row.Milliseconds:0.0000} | {row.Bytes:N0} |"))]));
        }

        Share("their sum ÷ Classify", nameof(Layers.Classify), Layers.OfClassify);
        Share("Classify + Http ÷ Request", nameof(Layers.Request), [nameof(Layers.Classify), nameof(Layers.Http)]);
        text.AppendLine();

        void Share(string name, string whole, string[] layers)
        {
            var shares = photos.Select(photo => _layers.Where(row => row.Size == photo.Name && layers.Contains(row.Layer))
                .Sum(row => row.Milliseconds) / _layers.Single(row => row.Size == photo.Name && row.Layer == whole).Milliseconds);
            text.AppendLine(string.Concat([$"| *{name}* |", .. shares.Select(share => string.Create(CultureInfo.InvariantCulture, $" {share:0.00} | |"))]));
        }
    }

    private void Jpegs(StringBuilder text)
    {
        if (_jpegs.Count == 0)
        {
            return;
        }

        text.AppendLine("JPEG at reduced size, our decoder and libjpeg-turbo in turn in one process: milliseconds of one decode.").AppendLine();
        text.AppendLine("| Picture | scale | ours | libjpeg-turbo | ours ÷ libjpeg-turbo |");
        text.AppendLine("|---|--:|--:|--:|--:|");
        foreach (var row in _jpegs)
        {
            text.AppendLine(CultureInfo.InvariantCulture,
                $"| {row.Size} | 1/{row.Shrink} | {row.OursMs:0.00} | {row.LibraryMs:0.00} | {row.OursMs / row.LibraryMs:0.00} |");
        }

        text.AppendLine();
    }

    private void DecodersOf(StringBuilder text)
    {
        if (_decoders.Count == 0)
        {
            return;
        }

        text.AppendLine("Decoding alone, one picture after the other; the ratio is to our binding of libvips at full size.").AppendLine();
        text.AppendLine("| Picture | Decoder | CPU ms | ratio | bytes allocated | collections of generation 2 |");
        text.AppendLine("|---|---|--:|--:|--:|--:|");
        foreach (var rows in _decoders.GroupBy(row => row.Size))
        {
            foreach (var row in rows)
            {
                text.Append(CultureInfo.InvariantCulture, $"| {row.Size} | {row.Decoder} | {row.CpuMs:0.00} | {row.CpuMs / rows.First().CpuMs:0.00} ");
                text.AppendLine(CultureInfo.InvariantCulture, $"| {row.Bytes:N0} | {row.FullCollections} in {row.Count} |");
            }
        }

        text.AppendLine();
    }

    private void Opens(StringBuilder text)
    {
        if (_opens.Count == 0)
        {
            return;
        }

        text.AppendLine(
            "Requests on a schedule (348 px, random independent arrivals); capacity is what 32 connections reach in a closed loop just before and just after.")
            .AppendLine("Latency counts from the scheduled time. Refused requests got 429 or 503 with `Retry-After`.").AppendLine();
        text.AppendLine("| Load ÷ capacity | offered/s | served/s | served ÷ capacity | refused | failed | p50 ms | p99 ms |");
        text.AppendLine("|--:|--:|--:|--:|--:|--:|--:|--:|");
        foreach (var rows in _opens.GroupBy(row => row.Factor))
        {
            text.Append(CultureInfo.InvariantCulture,
                $"| {rows.Key:0.0} | {Median(rows, row => row.Result.Offered):0} | {Median(rows, row => row.Result.Served):0} | " +
                $"{Median(rows, row => row.Result.Served / row.Capacity):0.00} ");
            text.AppendLine(CultureInfo.InvariantCulture,
                $"| {Median(rows, row => row.Result.Refused):0 %} | {rows.Sum(row => row.Result.Failed)} | {Median(rows, row => row.Result.P50):0} | " +
                $"{Median(rows, row => row.Result.P99):0} |");
        }

        text.AppendLine();
    }

    private void Endurances(StringBuilder text)
    {
        if (_endurances.Count == 0)
        {
            return;
        }

        text.AppendLine(
            "| Weights | ready after ms | CPU ms to ready | MB when ready | requests then | MB after them | bytes allocated/request | collections gen 0 / " +
            "1 / 2 |");
        text.AppendLine("|---|--:|--:|--:|--:|--:|--:|--:|");
        foreach (var (variant, endurance) in _endurances)
        {
            text.Append(CultureInfo.InvariantCulture,
                $"| {variant} | {endurance.StartMs:0} | {endurance.StartCpuMs:0} | {endurance.ReadyMb:0} | {endurance.Requests:N0} | {endurance.MemoryMb:0} ");
            text.AppendLine(CultureInfo.InvariantCulture, $"| {endurance.AllocatedBytes:N0} | {string.Join(" / ", endurance.Collections)} |");
        }

        text.AppendLine();
    }

    private void Memories(StringBuilder text)
    {
        if (_memories.Count == 0)
        {
            return;
        }

        text.AppendLine(CultureInfo.InvariantCulture,
            $"Resident memory in MB, with {MemoryHeld.IdleConnections:N0} connections that have asked once and wait, and around a burst of " +
            $"{MemoryHeld.Uploads} uploads of {MemoryHeld.UploadBytes / (1 << 20)} MB; each figure but the burst's own after 30 calm seconds.").AppendLine();
        text.AppendLine("| Server | ready | with idle connections | before the burst | in it | answered | after it |");
        text.AppendLine("|---|--:|--:|--:|--:|--:|--:|");
        foreach (var (server, memory) in _memories)
        {
            text.Append(CultureInfo.InvariantCulture, $"| {server} | {memory.ReadyMb:0} | {memory.IdleMb:0} | {memory.BeforeMb:0} | {memory.BurstMb:0} ");
            text.AppendLine(CultureInfo.InvariantCulture, $"| {memory.Answered} | {memory.AfterMb:0} |");
        }

        text.AppendLine();
    }

    private IEnumerable<(string Size, string Variant)> Cells(IReadOnlyList<Photo> pictures) =>
        _floors.Where(row => pictures.Any(picture => picture.Name == row.Size)).Select(row => (row.Size, row.Variant)).Distinct();

    private IEnumerable<LoadRow> Common(string size, string variant, string server) =>
        _loads.Where(row => row.Size == size && row.Variant == variant && row.Server == server && row.Connections == 8);

    private static double Median<T>(IEnumerable<T> rows, Func<T, double> value) => Percentiles.Median(rows.Select(value));

    private static string Text(double value, string format) => double.IsNaN(value) ? "" : value.ToString(format, CultureInfo.InvariantCulture);
}
