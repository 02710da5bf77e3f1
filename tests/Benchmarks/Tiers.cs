using Whatsit.Benchmarks.Contestants;
using Whatsit.Benchmarks.Load;
using Whatsit.Tests;

namespace Whatsit.Benchmarks;

/// <summary>One measurement of one server, or of a front and what it asks.</summary>
internal sealed record TierRow(int Round, string Server, string Size, int Connections, LoadResult Result);

/// <summary>
/// The same weights behind one server, and behind two that a front asks. A front's CPU time is that of all three processes; the two back servers are shared by
/// the fronts, which take turns.
/// </summary>
internal sealed class Tiers : IDisposable
{
    /// <summary>What the others are compared with.</summary>
    public const string One = "one server";

    private readonly string _folder = Directory.CreateTempSubdirectory("whatsit-tiers-").FullName;
    private readonly List<Contestant> _backs = [];
    private readonly List<Contestant> _fronts = [];

    private Tiers()
    {
    }

    /// <summary>Those that photos are sent to.</summary>
    public IReadOnlyList<Contestant> Fronts => _fronts;

    /// <summary>Starts them all.</summary>
    /// <param name="server">Our server, published.</param>
    /// <param name="model">The bundle: its name in models/, or its folder.</param>
    /// <param name="variant">The variant of its weights.</param>
    public static async Task<Tiers> StartAsync(string server, string model, string variant)
    {
        var bundle = Repository.BundleOf(model);
        var models = Path.GetDirectoryName(bundle)!;
        var tiers = new Tiers();
        try
        {
            int[] ports = [Contestant.FreePort(), Contestant.FreePort()];
            foreach (var port in ports)
            {
                tiers._backs.Add(await Starter.TierAsync(server, "a back server", models, variant, port, []));
            }

            tiers._fronts.Add(await Starter.TierAsync(server, One, models, variant, 0, []));
            await tiers.AddAsync(server, "front → two, HTTP", bundle, variant, tiers._backs.Select(back => $"http://127.0.0.1:{back.Port}"));
            await tiers.AddAsync(server, "front → two, gRPC", bundle, variant, ports.Select(port => $"grpc://127.0.0.1:{port}"));
            return tiers;
        }
        catch
        {
            tiers.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _fronts.ForEach(front => front.Dispose());
        _backs.ForEach(back => back.Dispose());
        Directory.Delete(_folder, recursive: true);
    }

    private async Task AddAsync(string server, string name, string bundle, string variant, IEnumerable<string> endpoints)
    {
        var models = Path.Combine(_folder, $"{_fronts.Count}");
        FrontBundle.Write(bundle, models, endpoints);
        _fronts.Add(await Starter.TierAsync(server, name, models, variant, 0, _backs));
    }
}
