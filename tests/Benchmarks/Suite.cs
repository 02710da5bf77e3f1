using Whatsit.Benchmarks.Contestants;
using Whatsit.Benchmarks.Load;
using Whatsit.Benchmarks.Photos;
using Whatsit.Inference.Catalog;

namespace Whatsit.Benchmarks;

/// <summary>The parts of a run.</summary>
internal static class Parts
{
    public const string Layers = "layers", Closed = "closed", Peers = "peers", Open = "open", Endurance = "endurance", Decoders = "decoders", Jpeg = "jpeg";

    public static readonly IReadOnlyList<string> All = [Layers, Closed, Peers, Open, Endurance, Decoders, Jpeg];
}

/// <summary>What to measure.</summary>
internal sealed record SuiteOptions(
    IReadOnlyList<string> Parts,
    int Rounds,
    double Effort,
    IReadOnlyList<string> Sizes,
    IReadOnlyList<int> Connections,
    IReadOnlyList<string> Variants,
    string Model,
    string Server,
    string? Against,
    bool Quick);

/// <summary>One run: everything that is compared takes turns, round after round, so that a busy moment of the machine meets all alike.</summary>
internal sealed class Suite : IDisposable
{
    private const int CommonConnections = 8;
    private static readonly double[] LoadFactors = [0.5, 0.8, 1.2, 2.0];

    private readonly SuiteOptions _options;
    private readonly ModelManifest _manifest;
    private readonly IReadOnlyList<string> _variants;
    private readonly List<Photo> _photos;
    private readonly List<Contestant> _contestants = [];
    private readonly Dictionary<string, Floor> _floors = [];
    private readonly Report _report;

    private Suite(SuiteOptions options)
    {
        _options = options;
        _manifest = Bundle.ReadManifest(Repository.BundleOf(options.Model));
        _variants = options.Variants.Count > 0 ? options.Variants : [.. _manifest.Files.Keys.Where(variant => variant is "fp32" or "int8")];
        Console.WriteLine("Drawing the pictures …");
        _photos = [.. options.Sizes.Select(Photo.Create)];
        _report = new Report(_manifest, _photos);
    }

    /// <summary>Measures, prints, and where everything was measured writes tests/Benchmarks/README.md.</summary>
    public static async Task RunAsync(SuiteOptions options)
    {
        using var suite = new Suite(options);
        if (options.Parts.Contains(Parts.Endurance))
        {
            await suite.EndureAsync();
        }

        if (options.Parts.Contains(Parts.Layers))
        {
            Console.WriteLine("The layers, one by one …");
            suite._report.Add(Layers.Measure(suite._photos, options.Server, options.Model));
        }

        if (options.Parts.Contains(Parts.Decoders))
        {
            Console.WriteLine("The decoders, taking turns …");
            suite._report.Add(Decoders.Measure(suite._photos, options.Model, suite.Count));
        }

        if (options.Parts.Contains(Parts.Jpeg))
        {
            Console.WriteLine("JPEG at reduced size …");
            suite._report.Add([.. JpegDecoding.Measure(suite._photos)]);
        }

        if (options.Parts.Contains(Parts.Closed) || options.Parts.Contains(Parts.Peers))
        {
            await suite.StartAsync();
            for (var round = 1; round <= options.Rounds; round++)
            {
                Console.WriteLine($"Round {round} of {options.Rounds} …");
                foreach (var photo in suite._photos)
                {
                    await suite.RoundAsync(round, photo);
                }
            }

            suite.StopAll();
        }

        if (options.Parts.Contains(Parts.Open))
        {
            await suite.OpenAsync();
        }

        Console.WriteLine();
        Console.WriteLine(suite._report.Results());
        if (!options.Quick && Parts.All.All(options.Parts.Contains) && options.Against is null)
        {
            var file = Repository.PathOf("tests", "Benchmarks", "README.md");
            await File.WriteAllTextAsync(file, suite._report.Readme());
            Console.WriteLine($"Written to {file}");
        }
    }

    public void Dispose() => StopAll();

    private async Task StartAsync()
    {
        foreach (var variant in _variants)
        {
            Console.WriteLine($"Starting the servers with {variant} …");
            _floors[variant] = new Floor(_options.Model, variant);
            _contestants.Add(await Starter.WhatsitAsync(_options.Server, Report.Us, _options.Model, variant));
            if (_options.Against is not null)
            {
                _contestants.Add(await Starter.WhatsitAsync(_options.Against, "Whatsit, before", _options.Model, variant));
            }

            if (_options.Parts.Contains(Parts.Peers))
            {
                await AddPeerAsync(Starter.NodeAsync, variant);
                await AddPeerAsync(Starter.FastApiAsync, variant);
            }
        }

        Console.WriteLine("Warming up …");
        foreach (var photo in _photos)
        {
            // Tiered compilation counts calls: what is measured afterwards is the code that a server runs all day.
            foreach (var contestant in _contestants)
            {
                await ClosedLoop.RunAsync(contestant, photo, CommonConnections, Count(photo));
            }

            _floors[_variants[0]].Decode(photo, Count(photo));
        }
    }

    private async Task AddPeerAsync(Func<string, ModelManifest, string, Task<Contestant>> start, string variant)
    {
        try
        {
            _contestants.Add(await start(Repository.BundleOf(_options.Model), _manifest, variant));
        }
        catch (PeerMissingException missing)
        {
            _report.Missing($"{(start.Method.Name.StartsWith("Node", StringComparison.Ordinal) ? "Node" : "FastAPI")} with {variant}: {missing.Message}");
        }
    }

    private async Task RoundAsync(int round, Photo photo)
    {
        foreach (var (variant, floor) in _floors)
        {
            _report.Add(new FloorRow(round, variant, photo.Name, floor.Run(photo, Count(photo)), floor.Decode(photo, Count(photo))));
            foreach (var contestant in _contestants.Where(contestant => contestant.Variant == variant))
            {
                foreach (var connections in contestant.Name == Report.Us ? _options.Connections : [CommonConnections])
                {
                    var result = await ClosedLoop.RunAsync(contestant, photo, connections, Count(photo));
                    _report.Add(new LoadRow(round, contestant.Name, variant, photo.Name, connections, result));
                }
            }
        }
    }

    private async Task OpenAsync()
    {
        var photo = _photos[0];
        using var server = await Starter.WhatsitAsync(_options.Server, Report.Us, _options.Model, _variants[0]);
        await ClosedLoop.RunAsync(server, photo, CommonConnections, Count(photo));
        for (var round = 1; round <= Math.Min(3, _options.Rounds); round++)
        {
            Console.WriteLine($"Open loop, round {round} …");
            var before = await CapacityAsync();
            foreach (var factor in LoadFactors)
            {
                // About as many seconds for each load.
                var count = (int)(4 * factor * Count(photo));
                var result = await OpenLoop.RunAsync(server, photo, factor * before, count);
                // A busy machine gives more or less from one minute to the next: what it gives afterwards counts as much as what it gave before.
                var after = await CapacityAsync();
                _report.Add(new OpenRow(round, factor, (before + after) / 2, result));
                before = after;
            }
        }

        async Task<double> CapacityAsync() => (await ClosedLoop.RunAsync(server, photo, connections: 32, 2 * Count(photo))).PerSecond;
    }

    private async Task EndureAsync()
    {
        foreach (var variant in _variants)
        {
            var requests = _options.Quick ? 3_000 : Math.Max(2_000, (int)(10_000 * Math.Min(1, _options.Effort)));
            Console.WriteLine($"Starting five times, then {requests:N0} requests with {variant} …");
            _report.Add(variant, await Endurance.MeasureAsync(_options.Server, _options.Model, variant, _photos[0], requests));
        }
    }

    // A large picture costs more, so fewer of them give a figure as good.
    private int Count(Photo photo) => Math.Max(20, (int)(_options.Effort * (photo.Width > 2000 ? 60 : photo.Width > 500 ? 300 : 500)));

    private void StopAll()
    {
        _contestants.ForEach(contestant => contestant.Dispose());
        _contestants.Clear();
        foreach (var floor in _floors.Values)
        {
            floor.Dispose();
        }

        _floors.Clear();
    }
}
