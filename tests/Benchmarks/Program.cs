using System.CommandLine;
using Whatsit.Benchmarks;
using Whatsit.Benchmarks.Photos;

var quick = new Option<bool>("--quick") { Description = "A minute or two: 348 px at 8 connections, no peers; prints, writes nothing." };
var parts = List<string>("--parts", $"Of {string.Join(", ", Parts.All)}. The default is all; all of them together write tests/Benchmarks/README.md.");
var rounds = new Option<int?>("--rounds") { Description = "Rounds, of which the medians count. The default is 5." };
var effort = new Option<double>("--effort")
{
    Description =
    "Requests per measurement: 1 means 500 small or 60 large pictures, and 10,000 before memory is read.",
    DefaultValueFactory = _ => 1
};
var sizes = List<string>("--sizes", "Pictures: 348, 1024, 4000. The default is all.");
var connections = List<int>("--connections", "Connections at once. The default is 1 2 8 32.");
var variants = List<string>("--variants", "Variants of the weights. The default is fp32, and int8 where the bundle has it and the processor is good at it.");
parts.AcceptOnlyFromAmong([.. Parts.All]);
var model = new Option<string>("--model") { Description = "The bundle: its name in models/, or its folder.", DefaultValueFactory = _ => "grocery" };
var server = new Option<string>("--server") { Description = "Our server, published.", DefaultValueFactory = _ => "artifacts/server" };
var against = new Option<string?>("--against") { Description = "Another published server of ours to take turns with: before and after a change." };

var root = new RootCommand("Measures what a request costs beside what it must cost. Everything happens on 127.0.0.1 and ends by itself.")
{
    quick, parts, rounds, effort, sizes, connections, variants, model, server, against,
};
root.SetAction(parsed =>
{
    var isQuick = parsed.GetValue(quick);
    return Suite.RunAsync(new(
        Chosen(parts, isQuick ? [Parts.Closed, Parts.Endurance] : Parts.All),
        parsed.GetValue(rounds) ?? (isQuick ? 3 : 5),
        parsed.GetValue(effort),
        Chosen(sizes, isQuick ? ["348"] : ["348", "1024", "4000"]),
        Chosen(connections, isQuick ? [8] : [1, 2, 8, 32]),
        Chosen(variants, []),
        parsed.GetValue(model)!,
        parsed.GetValue(server)!,
        parsed.GetValue(against),
        isQuick));

    IReadOnlyList<T> Chosen<T>(Option<T[]> option, IReadOnlyList<T> otherwise) => parsed.GetValue(option) is { Length: > 0 } chosen ? chosen : otherwise;
});

var minutes = new Option<double>("--minutes") { Description = "How long. The default is 30.", DefaultValueFactory = _ => 30 };
var soak = new Command("soak", "Half an hour at 80 % of capacity, good, bad and slow requests mixed: wrong answers, and the slopes of memory and descriptors.")
{
    minutes, model, server,
};
soak.SetAction(parsed => Soak.RunAsync(parsed.GetValue(server)!, parsed.GetValue(model)!, parsed.GetValue(minutes)));
root.Subcommands.Add(soak);

var count = new Option<int>("--count") { Description = "How many photos. The default is 100,000.", DefaultValueFactory = _ => 100_000 };
var many = new Command("many", "whatsit classify over so many small photos: photos in a second, and the most memory at every 10,000.") { count };
many.SetAction(parsed => ManyPhotos.RunAsync(parsed.GetValue(count)));
root.Subcommands.Add(many);

var photos = new Argument<string>("list") { Description = "The photos: lines 'path,label'." };
var folder = new Argument<string>("folder") { Description = "Where to." };
var side = new Option<int>("--side") { Description = "Pixels of the longer side. The default is 2784.", DefaultValueFactory = _ => 2784 };
var enlarge = new Command("enlarge", "Enlarges photos to what a phone takes; measures nothing. For whatsit evaluate --compare fp32:exact fp32:fast.")
{
    photos, folder, side,
};
enlarge.SetAction(parsed => Enlarge.Run(parsed.GetValue(photos)!, parsed.GetValue(folder)!, parsed.GetValue(side)));
root.Subcommands.Add(enlarge);
return await root.Parse(args).InvokeAsync();

static Option<T[]> List<T>(string name, string description) => new(name) { Description = description, AllowMultipleArgumentsPerToken = true };
