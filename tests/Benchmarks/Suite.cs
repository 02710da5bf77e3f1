using Whatsit.Benchmarks.Contestants;
using Whatsit.Benchmarks.Load;
using Whatsit.Benchmarks.Photos;
using Whatsit.Inference.Catalog;

namespace Whatsit.Benchmarks;

/// <summary>What to measure.</summary>
internal sealed record SuiteOptions(
    int Rounds, double Effort, IReadOnlyList<string> Sizes, IReadOnlyList<int> Connections, IReadOnlyList<string> Variants, string Model, string Server, string? Against, bool Full);

/// <summary>One run: everything that is compared takes turns, round after round, so that a busy moment of the machine meets all alike.</summary>
internal static class Suite
{
    public static async Task RunAsync(SuiteOptions options)
    {
        var manifest = Bundle.ReadManifest(Repository.PathOf("models", options.Model));
        var variants = options.Variants.Count > 0 ? options.Variants : [.. manifest.Files.Keys.Where(variant => variant is "fp32" or "int8")];
        Console.WriteLine("Drawing the pictures …");
        var photos = options.Sizes.Select(Photo.Create).ToList();
        var contestants = new List<Contestant>();
        var floors = new Dictionary<string, Floor>();
        var measurements = new Measurements();
        try
        {
            foreach (var variant in variants)
            {
                floors[variant] = new Floor(options.Model, variant);
                contestants.Add(await Starter.WhatsitAsync(options.Server, "Whatsit", options.Model, variant));
                if (options.Against is not null)
                {
                    contestants.Add(await Starter.WhatsitAsync(options.Against, "before", options.Model, variant));
                }
            }

            Console.WriteLine("Warming up …");
            foreach (var photo in photos)
            {
                // Tiered compilation counts calls: what is measured afterwards is the code that a server runs all day.
                await Task.WhenAll(contestants.Select(contestant => ClosedLoop.RunAsync(contestant, photo, connections: 4, count: photo.Width > 2000 ? 20 : 400)));
                foreach (var floor in floors.Values)
                {
                    floor.Decode(photo, photo.Width > 2000 ? 20 : 400);
                }
            }

            for (var round = 1; round <= options.Rounds; round++)
            {
                Console.WriteLine($"Round {round} of {options.Rounds} …");
                foreach (var photo in photos)
                {
                    // A large picture costs more, so fewer of them give a figure as good.
                    var count = Math.Max(20, (int)(options.Effort * (photo.Width > 2000 ? 60 : photo.Width > 500 ? 300 : 500)));
                    foreach (var variant in variants)
                    {
                        measurements.Floor(round, variant, photo, floors[variant].Run(photo, count), floors[variant].Decode(photo, count));
                        foreach (var contestant in contestants.Where(contestant => contestant.Variant == variant))
                        {
                            foreach (var connections in options.Connections.Where(count => count == 8 || contestant.Name == "Whatsit"))
                            {
                                measurements.Load(round, contestant, photo, connections, await ClosedLoop.RunAsync(contestant, photo, connections, count));
                            }
                        }
                    }
                }
            }
        }
        finally
        {
            contestants.ForEach(contestant => contestant.Dispose());
            foreach (var floor in floors.Values)
            {
                floor.Dispose();
            }
        }

        Console.WriteLine(measurements.Table());
    }
}
