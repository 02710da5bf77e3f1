using System.Globalization;
using System.Text;
using Whatsit.Benchmarks.Contestants;
using Whatsit.Benchmarks.Load;
using Whatsit.Benchmarks.Photos;

namespace Whatsit.Benchmarks;

/// <summary>Everything measured, by round; medians over the rounds. Ratios are taken within a round, so that a slow moment of the machine cancels out.</summary>
internal sealed class Measurements
{
    private readonly List<FloorRow> _floors = [];
    private readonly List<LoadRow> _loads = [];

    private sealed record FloorRow(int Round, string Variant, string Size, double Run, double Decode);

    private sealed record LoadRow(int Round, string Server, string Variant, string Size, int Connections, LoadResult Result);

    public void Floor(int round, string variant, Photo photo, double run, double decode) => _floors.Add(new(round, variant, photo.Name, run, decode));

    public void Load(int round, Contestant server, Photo photo, int connections, LoadResult result) =>
        _loads.Add(new(round, server.Name, server.Variant, photo.Name, connections, result));

    /// <summary>The table of the closed loop, in Markdown.</summary>
    public string Table()
    {
        var text = new StringBuilder();
        text.AppendLine("| Picture | Weights | Server | Connections | CPU ms/request | ÷ floor | ÷ `Run` | requests/s | p50 ms | p99 ms | memory MB |");
        text.AppendLine("|---|---|---|--:|--:|--:|--:|--:|--:|--:|--:|");
        foreach (var cell in _floors.GroupBy(row => (row.Size, row.Variant)))
        {
            var (size, variant) = cell.Key;
            var floor = cell.ToDictionary(row => row.Round);
            Append(size, variant, "bare `Run`", null, Median(cell, row => row.Run), null, null);
            Append(size, variant, "decode + preprocess", null, Median(cell, row => row.Decode), null, null);
            Append(size, variant, "**floor**: both", null, Median(cell, row => row.Run + row.Decode), null, null);
            foreach (var rows in _loads.Where(row => row.Size == size && row.Variant == variant).GroupBy(row => (row.Server, row.Connections)))
            {
                text.AppendLine(CultureInfo.InvariantCulture, $"| {size} | {variant} | {rows.Key.Server} | {rows.Key.Connections} | {Median(rows, row => row.Result.CpuMs):0.00} | {Median(rows, row => row.Result.CpuMs / (floor[row.Round].Run + floor[row.Round].Decode)):0.00} | {Median(rows, row => row.Result.CpuMs / floor[row.Round].Run):0.00} | {Median(rows, row => row.Result.PerSecond):0} | {Median(rows, row => row.Result.P50):0.0} | {Median(rows, row => row.Result.P99):0.0} | {rows.Max(row => row.Result.MemoryMb):0} |");
            }
        }

        return text.ToString();

        void Append(string size, string variant, string name, int? connections, double cpu, double? overFloor, double? overRun) =>
            text.AppendLine(CultureInfo.InvariantCulture, $"| {size} | {variant} | {name} | {connections} | {cpu:0.00} | {overFloor:0.00} | {overRun:0.00} | | | | |");
    }

    private static double Median<T>(IEnumerable<T> rows, Func<T, double> value) => Percentiles.Median(rows.Select(value));
}
