using System.CommandLine;
using System.Globalization;
using System.Runtime.InteropServices;
using Whatsit.Hostile;
using Whatsit.Hostile.Inputs;

var quick = new Option<bool>("--quick") { Description = "Under a minute: statuses, crashes and memory; times are not judged, nothing is written." };
var server = new Option<string>("--server") { Description = "The published server.", DefaultValueFactory = _ => "artifacts/server/Whatsit.Server" };
var only = new Option<string?>("--only") { Description = "Only families whose name contains this; nothing is written." };
var root = new RootCommand("Sends the published server what strangers may send, and says what it cost. Everything happens on 127.0.0.1 and ends by itself.")
{
    quick, server, only,
};
root.SetAction(async parsed =>
{
    if (!OperatingSystem.IsLinux())
    {
        Console.WriteLine("Limits and costs are the Linux kernel's (/proc, control groups).\n0 passed, 0 failed, 1 skipped");
        return 0;
    }

    var (isLong, filter) = (!parsed.GetValue(quick), parsed.GetValue(only));
    using var runner = new Runner(Repository.PathOf(parsed.GetValue(server)!), isLong, Console.Out);
    Family[] families =
    [
        new("TIFF: samples, tiles, strips", TiffAttacks.Sizes),
        new("TIFF: codings", TiffAttacks.Codings),
        new("TIFF: directories", TiffAttacks.Directories),
        new("JPEG: scans, segments, sizes", Jpegs.Attacks),
        new("PNG: sizes, texts, chunks", OtherPictures.Pngs),
        new("Animations", OtherPictures.Animations),
        new("Headers that lie: WebP, ICO, AVIF", OtherPictures.Lies),
        new("BMP, Netpbm, no pictures", OtherPictures.Plain),
        new("Damaged files", Corpus.Damaged(rounds: isLong ? 100 : 6)),
        new("Bodies: forms, JSON, base64", Requests.Bodies),
        new("Packed bodies", Requests.Packed),
        new("Heads and paths", Requests.Heads),
        new("Slow, many and gone", Connections.Attacks(runner.Small)),
    ];
    await runner.RunAsync(families.Where(family => filter is null || family.Name.Contains(filter, StringComparison.OrdinalIgnoreCase)));
    var problems = Report.Problems(runner.Outcomes, runner.PlainMs).ToList();
    var table = Report.Table(runner.Outcomes, runner.PlainMs);
    Console.WriteLine($"\n{table}");
    problems.ForEach(Console.WriteLine);
    if (isLong && filter is null)
    {
        Report.Write(string.Create(CultureInfo.InvariantCulture,
            $"Measured {DateTime.UtcNow:yyyy-MM-dd} with {Environment.ProcessorCount} processors ({RuntimeInformation.OSArchitecture}), "
            + $"`Decoding:MaxMemory` 192 MB, under {runner.LimitName}; a plain 12-megapixel JPEG took {runner.PlainMs:0} ms of work.\n\n{table}"));
    }

    var bad = runner.Outcomes.Count(outcome => Report.Problems([outcome], runner.PlainMs).Any());
    Console.WriteLine($"{runner.Outcomes.Count - bad} passed, {bad} failed");
    return bad == 0 && runner.Outcomes.Count > 0 ? 0 : 1;
});
return await root.Parse(args).InvokeAsync();
