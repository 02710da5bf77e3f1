using System.Net.Sockets;
using Whatsit.Benchmarks.Contestants;
using Whatsit.Benchmarks.Load;
using Whatsit.Benchmarks.Photos;
using Whatsit.Inference.Catalog;

namespace Whatsit.Benchmarks;

/// <summary>The parts of a run.</summary>
internal static class Parts
{
    public const string Layers = "layers", Closed = "closed", Peers = "peers", Open = "open", Endurance = "endurance", Decoders = "decoders",
        Jpeg = "jpeg", Formats = "formats", Memory = "memory", Tiers = "tiers";

    public static readonly IReadOnlyList<string> All = [Layers, Closed, Peers, Open, Endurance, Decoders, Jpeg, Formats, Memory, Tiers];
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
    // Longer than a server of ours keeps what it has done with.
    private static readonly TimeSpan Calm = TimeSpan.FromSeconds(15);
    private static readonly double[] LoadFactors = [0.5, 0.8, 1.2, 2.0];

    private readonly SuiteOptions _options;
    private readonly ModelManifest _manifest;
    private readonly IReadOnlyList<string> _variants;
    private readonly List<Photo> _photos;
    private readonly IReadOnlyList<Photo> _formats;
    private readonly List<Contestant> _contestants = [];
    private readonly Dictionary<string, Floor> _floors = [];
    private readonly Report _report;

    private Suite(SuiteOptions options)
    {
        _options = options;
        _manifest = Bundle.ReadManifest(Repository.BundleOf(options.Model));
        _variants = options.Variants.Count > 0 ? options.Variants
            : [.. _manifest.Files.Keys.Where(variant => variant == "fp32" || (variant == "int8" && Variants.HasFastInt8))];
        Console.WriteLine("Drawing the pictures …");
        _photos = [.. options.Sizes.Select(Photo.Create)];
        _formats = options.Parts.Contains(Parts.Formats) ? Formats.Create() : [];
        _report = new Report(_manifest, _photos, _formats);
        if (!Variants.HasFastInt8)
        {
            _report.Missing("int8: this processor does not multiply bytes as fast as it should (no VNNI), and the server takes fp32.");
        }
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
            await suite.StartAsync(suite._variants, withPeers: options.Parts.Contains(Parts.Peers));
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

        if (options.Parts.Contains(Parts.Formats))
        {
            await suite.StartAsync([suite.Served], withPeers: true);
            foreach (var format in suite._formats)
            {
                await suite.FormatAsync(format);
            }

            suite.StopAll();
        }

        if (options.Parts.Contains(Parts.Memory))
        {
            await suite.MemoryAsync();
        }

        if (options.Parts.Contains(Parts.Open))
        {
            await suite.OpenAsync();
        }

        if (options.Parts.Contains(Parts.Tiers))
        {
            await suite.TiersAsync();
        }

        Console.WriteLine();
        Console.WriteLine(suite._report.Results());
        if (!options.Quick && Parts.All.All(options.Parts.Contains) && options.Against is null)
        {
            var file = Repository.PathOf("tests", "Benchmarks", "README.md");
            await File.WriteAllTextAsync(file, suite._report.Readme());
            Console.WriteLine($"Written to {file}");
        }
        else if (!options.Quick && options.Parts is [Parts.Tiers])
        {
            Report.Replace(Repository.PathOf("tests", "Benchmarks", "README.md"), suite._report.TierTable());
        }
    }

    public void Dispose() => StopAll();

    /// <summary>The variant that the server chooses by itself where the processor computes.</summary>
    private string Served => Variants.Choose(_manifest, "auto") is var chosen && _variants.Contains(chosen) ? chosen : _variants[0];

    private async Task StartAsync(IReadOnlyList<string> variants, bool withPeers)
    {
        foreach (var variant in variants)
        {
            Console.WriteLine($"Starting the servers with {variant} …");
            _floors[variant] = new Floor(_options.Model, variant);
            _contestants.Add(await Starter.WhatsitAsync(_options.Server, Report.Us, _options.Model, variant));
            if (_options.Against is not null)
            {
                _contestants.Add(await Starter.WhatsitAsync(_options.Against, "Whatsit, before", _options.Model, variant));
            }

            if (withPeers)
            {
                await AddPeerAsync("Node", Starter.NodeAsync, variant);
                await AddPeerAsync("ImageSharp", Starter.ImageSharpAsync, variant);
                await AddPeerAsync("ML.NET", Starter.MlNetAsync, variant);
                await AddPeerAsync("FastAPI", Starter.FastApiAsync, variant);
            }
        }

        Console.WriteLine("Warming up …");
        foreach (var photo in _photos)
        {
            // Tiered compilation counts calls: what is measured afterwards is the code that a server runs all day.
            foreach (var contestant in _contestants.ToArray())
            {
                await DriveAsync(contestant, photo, CommonConnections, Count(photo));
            }

            _floors[variants[0]].Decode(photo, Count(photo));
        }
    }

    private async Task AddPeerAsync(string name, Func<string, ModelManifest, string, Task<Contestant>> start, string variant)
    {
        try
        {
            _contestants.Add(await start(Repository.BundleOf(_options.Model), _manifest, variant));
        }
        catch (PeerMissingException missing)
        {
            _report.Missing($"{name} with {variant}: {missing.Message}");
        }
    }

    private async Task RoundAsync(int round, Photo photo)
    {
        foreach (var (variant, floor) in _floors)
        {
            _report.Add(new FloorRow(round, variant, photo.Name, floor.Run(photo, Count(photo)), floor.Decode(photo, Count(photo))));
            foreach (var contestant in _contestants.Where(contestant => contestant.Variant == variant).ToArray())
            {
                foreach (var connections in contestant.Name == Report.Us ? _options.Connections : [CommonConnections])
                {
                    if (await DriveAsync(contestant, photo, connections, Count(photo)) is { } result)
                    {
                        _report.Add(new LoadRow(round, contestant.Name, variant, photo.Name, connections, result));
                    }
                }
            }
        }
    }

    private static bool IsOurs(Contestant contestant) => contestant.Name.StartsWith(Report.Us, StringComparison.Ordinal);

    /// <summary>Drives a server. A peer that fails is named in the report and takes no further part; none of ours may fail.</summary>
    private async Task<LoadResult?> DriveAsync(Contestant contestant, Photo photo, int connections, int count)
    {
        try
        {
            return await ClosedLoop.RunAsync(contestant, photo, connections, count);
        }
        catch (Exception exception) when (!IsOurs(contestant) && exception is IOException or SocketException or InvalidOperationException)
        {
            _report.Missing($"{contestant.Name} with {contestant.Variant}, at {photo.Name}: {exception.Message}");
            _contestants.Remove(contestant);
            contestant.Dispose();
            return null;
        }
    }

    /// <summary>All rounds of one format, and what each server holds when it has been left alone for a while.</summary>
    private async Task FormatAsync(Photo photo)
    {
        Console.WriteLine($"{photo.Name} …");
        var count = Math.Max(16, Count(photo) / 3);
        var floor = _floors[Served];
        List<Contestant> readers = [];
        foreach (var contestant in _contestants.ToArray())
        {
            if (await ClosedLoop.CanReadAsync(contestant, photo) && await DriveAsync(contestant, photo, CommonConnections, count / 2) is not null)
            {
                readers.Add(contestant);
            }
        }

        for (var round = 1; round <= _options.Rounds; round++)
        {
            _report.Add(new FloorRow(round, Served, photo.Name, floor.Run(photo, count), floor.Decode(photo, count)));
            foreach (var reader in readers.ToArray())
            {
                if (await DriveAsync(reader, photo, CommonConnections, count) is { } result)
                {
                    _report.Add(new LoadRow(round, reader.Name, Served, photo.Name, CommonConnections, result));
                }
                else
                {
                    readers.Remove(reader);
                }
            }
        }

        await Task.Delay(Calm);
        readers.ForEach(reader => _report.Add(new CalmRow(reader.Name, photo.Name, reader.MemoryMb)));
    }

    private async Task MemoryAsync()
    {
        Console.WriteLine("Idle connections, and a burst of large uploads …");
        _report.Add(Report.Us, await MemoryHeld.MeasureAsync(_options.Server, _options.Model, Served, _photos[^1]));
        if (_options.Against is not null)
        {
            _report.Add("Whatsit, before", await MemoryHeld.MeasureAsync(_options.Against, _options.Model, Served, _photos[^1]));
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

    /// <summary>One server, and a front before two that compute, over HTTP and over gRPC, in turn.</summary>
    private async Task TiersAsync()
    {
        using var tiers = await Tiers.StartAsync(_options.Server, _options.Model, _variants[0]);
        foreach (var photo in _photos)
        {
            for (var round = 0; round <= _options.Rounds; round++)
            {
                Console.WriteLine(round == 0 ? $"Tiers, {photo.Name}, warming up …" : $"Tiers, {photo.Name}, round {round} …");
                foreach (var connections in (int[])[1, CommonConnections])
                {
                    foreach (var contestant in tiers.Fronts)
                    {
                        var result = await ClosedLoop.RunAsync(contestant, photo, connections, Count(photo));
                        if (round > 0)
                        {
                            _report.Add(new TierRow(round, contestant.Name, photo.Name, connections, result));
                        }
                    }
                }
            }
        }
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
