using System.CommandLine;
using Whatsit.Benchmarks;

var quick = new Option<bool>("--quick") { Description = "A minute or two: 348 px at 8 connections, without peers; prints, writes nothing." };
var rounds = new Option<int?>("--rounds") { Description = "Rounds, of which the medians count. The default is 5." };
var effort = new Option<double>("--effort") { Description = "Requests per measurement: 1 means 500 small or 60 large pictures.", DefaultValueFactory = _ => 1 };
var sizes = new Option<string[]>("--sizes") { Description = "Pictures: 348, 1024, 4000. The default is all.", AllowMultipleArgumentsPerToken = true };
var connections = new Option<int[]>("--connections") { Description = "Connections at once. The default is 1 2 8 32.", AllowMultipleArgumentsPerToken = true };
var variants = new Option<string[]>("--variants") { Description = "Variants of the weights. The default is fp32, and int8 where the bundle has it.", AllowMultipleArgumentsPerToken = true };
var model = new Option<string>("--model") { Description = "The bundle in models/.", DefaultValueFactory = _ => "grocery" };
var server = new Option<string>("--server") { Description = "Our server, published.", DefaultValueFactory = _ => Repository.PathOf("artifacts", "server") };
var against = new Option<string?>("--against") { Description = "Another published server of ours to compare with: before and after a change." };

var root = new RootCommand("Measures what a request costs beside what it must cost. Everything happens on 127.0.0.1 and ends by itself.")
{
    quick, rounds, effort, sizes, connections, variants, model, server, against,
};
root.SetAction(async (parsed, _) =>
{
    var isQuick = parsed.GetValue(quick);
    await Suite.RunAsync(new(
        parsed.GetValue(rounds) ?? (isQuick ? 3 : 5),
        parsed.GetValue(effort),
        parsed.GetValue(sizes) is { Length: > 0 } chosenSizes ? chosenSizes : isQuick ? ["348"] : ["348", "1024", "4000"],
        parsed.GetValue(connections) is { Length: > 0 } chosenConnections ? chosenConnections : isQuick ? [8] : [1, 2, 8, 32],
        parsed.GetValue(variants) ?? [],
        parsed.GetValue(model)!,
        parsed.GetValue(server)!,
        parsed.GetValue(against),
        Full: !isQuick));
});
return await root.Parse(args).InvokeAsync();
