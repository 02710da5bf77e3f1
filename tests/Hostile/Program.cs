using System.CommandLine;
using System.Globalization;
using System.Runtime.InteropServices;
using Whatsit.Hostile;
using Whatsit.Hostile.Inputs;

var quick = new Option<bool>("--quick") { Description = "Under a minute: statuses, crashes and memory; times are not judged, nothing is written." };
var server = new Option<string>("--server") { Description = "The published server.", DefaultValueFactory = _ => "artifacts/server/Whatsit.Server" };
var whatsit = new Option<string>("--whatsit") { Description = "The command line.", DefaultValueFactory = _ => "artifacts/bin/ModelTools/release/whatsit" };
var only = new Option<string?>("--only") { Description = "Only families whose name contains this; nothing is written." };
var root = new RootCommand("Sends the published server what strangers may send, and says what it cost. Everything happens on 127.0.0.1 and ends by itself.")
{
    quick, server, whatsit, only,
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
    using var bundles = new Bundles();
    using var addresses = new Addresses(runner.Small);
    using var imports = new ImportRunner(Repository.PathOf(parsed.GetValue(whatsit)!), isLong, Console.Out);
    var (taking, trusting, careful) = (bundles.Settings, addresses.Trusting, addresses.Careful);
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
        new("Bundles in the models folder", Some(bundles.Dropped(runner.Small)), taking),
        new("Bundles by PUT", Some(Bundles.Put(rounds: isLong ? 60 : 8)), taking),
        new("Pictures by address: sites", Some(addresses.Sites), trusting),
        new("Pictures by address: not public", addresses.Private, careful),
    ];
    // Of those that load models, wait for others or start processes, the short form has every third.
    IEnumerable<Attack> Some(IEnumerable<Attack> attacks) => attacks.Where((_, at) => isLong || at % 3 == 0);
    await runner.RunAsync(families.Where(family => filter is null || family.Name.Contains(filter, StringComparison.OrdinalIgnoreCase)));
    if (filter is null || ImportRunner.Family.Contains(filter, StringComparison.OrdinalIgnoreCase))
    {
        await imports.RunAsync();
    }

    Outcome[] outcomes = [.. runner.Outcomes, .. imports.Outcomes];
    var problems = Report.Problems(outcomes, runner.PlainMs).ToList();
    var table = Report.Table(outcomes, runner.PlainMs);
    Console.WriteLine($"\n{table}");
    problems.ForEach(Console.WriteLine);
    if (isLong && filter is null)
    {
        Report.Write(string.Create(CultureInfo.InvariantCulture,
            $"Measured {DateTime.UtcNow:yyyy-MM-dd} with {Environment.ProcessorCount} processors ({RuntimeInformation.OSArchitecture}), "
            + $"`Decoding:MaxMemory` 192 MB, under {runner.LimitName}; a plain 12-megapixel JPEG took {runner.PlainMs:0} ms of work.\n\n{table}"));
    }

    var bad = outcomes.Count(outcome => Report.Problems([outcome], runner.PlainMs).Any());
    Console.WriteLine($"{outcomes.Length - bad} passed, {bad} failed");
    return bad == 0 && outcomes.Length > 0 ? 0 : 1;
});
return await root.Parse(args).InvokeAsync();
